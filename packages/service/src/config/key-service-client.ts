// Section `keyService`: where the stages and the operator find the key service, and what they show to it.

import * as z from 'zod';
import { path, type Section } from './values.ts';

export const keyService = z
  .strictObject({
    url: z
      .url({ protocol: /^https$/, error: 'must be an https URL' })
      .default('https://127.0.0.1:8443')
      .describe('Where the key service answers, `https://HOST:PORT`'),
    caFile: path().default('/etc/sealpost/credentials/ca.crt').describe('PEM file of the service CA'),
    credentials: path()
      .default('/etc/sealpost/credentials')
      .describe('Directory with ROLE.crt and ROLE.key (encrypted PKCS#8) of each role on this machine'),
    passphraseFile: path().optional().describe('File that holds the passphrase of the private keys'),
  })
  .prefault({});

export type KeyServiceConfig = Section<typeof keyService>;
