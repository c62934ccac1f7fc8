// Section `keyServer`: the key service's own store, what opens it, its audit log, and the bounds of what it lends.

import * as z from 'zod';
import { count, host, listenAddress, path, type Section } from './values.ts';

export const keyServer = z
  .strictObject({
    listen: listenAddress({ host: '127.0.0.1', port: 8443 }),
    names: z
      .array(host())
      .max(32)
      .default([])
      .describe('Further host names and IP addresses for its certificate, beside that of `keyService.url`'),
    directory: path().default('/var/lib/sealpost/keys').describe('Directory of the key store'),
    slot: z
      .strictObject({
        kind: z
          .enum(['file', 'passphrase'])
          .default('passphrase')
          .describe('What opens the store: an operator with a `passphrase` after each start, or a `file`'),
        file: path()
          .optional()
          .describe('The file that opens the store, for `kind: file`; one that `init` has to make is for development'),
      })
      .refine(({ kind, file }) => kind !== 'file' || file !== undefined, '`kind: file` needs `file`')
      .prefault({}),
    audit: z
      .strictObject({
        file: path().default('/var/lib/sealpost/audit/audit.log').describe('Append-only audit log'),
        deadlineMs: count(100, 60_000)
          .default(2_000)
          .describe('An operation fails when its audit record is not on disk after this time'),
        segmentBytes: count(64 * 1024, 1024 * 1024 * 1024)
          .default(64 * 1024 * 1024)
          .describe('A file of the log that reached this length is closed and the next one begun'),
      })
      .prefault({}),
    backup: z
      .strictObject({
        directory: path()
          .optional()
          .describe('Directory for encrypted backups of the store; without it there are none'),
        recipient: path()
          .optional()
          .describe('Public key of the quorum that opens backups, as `sealpost backup quorum` made it'),
        everyHours: count(1, 720).default(24).describe('A backup is made when the newest is older than this'),
      })
      .refine(
        ({ directory, recipient }) => (directory === undefined) === (recipient === undefined),
        '`directory` and `recipient` belong together',
      )
      .prefault({}),
    leases: z
      .strictObject({
        seconds: count(60, 300).default(300).describe('Life of a leased key in a worker'),
        perClient: count(1, 1_000_000)
          .default(10_000)
          .describe('Most live leases of one client certificate; workers that share one share this'),
      })
      .prefault({}),
    refusedClients: z
      .array(z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in lower-case hex'))
      .default([])
      .describe('SHA-256 of client certificates that are refused before they expire'),
  })
  .prefault({});

export type KeyServerConfig = Section<typeof keyServer>;
