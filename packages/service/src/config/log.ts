// Section `log`: how much is logged and whether mail addresses may be read in it.

import * as z from 'zod';
import { path, type Section } from './values.ts';

export const log = z
  .strictObject({
    level: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('Least severity that is logged'),
    addresses: z.boolean().default(false).describe('Log mail addresses as they are instead of as a keyed hash'),
    hashKeyFile: path()
      .optional()
      .describe(
        'File with the key of that hash, at least 32 characters; left out: a new key at each start of a process',
      ),
  })
  .prefault({});

export type LogConfig = Section<typeof log>;
