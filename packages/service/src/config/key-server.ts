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
          .describe(
            'One slot, the older way to write it: a `file` is the same as one in `slots`; `passphrase` opens nothing',
          ),
        file: path().optional().describe('The file, for `kind: file`'),
      })
      .refine(({ kind, file }) => kind !== 'file' || file !== undefined, '`kind: file` needs `file`')
      .prefault({}),
    slots: z
      .array(
        z
          .strictObject({
            kind: z.enum(['file', 'pkcs11']).describe('A `file` that a secret manager mounts, or a key in a token'),
            file: path()
              .optional()
              .describe('For `kind: file`: holds the secret; one that `init` has to make is for development'),
            label: z
              .string()
              .regex(/^[\x21-\x7e]{1,64}$/, 'must be 1 to 64 printable characters')
              .optional()
              .describe('For `kind: pkcs11`: that of an AES or RSA key in the token'),
          })
          .refine(({ kind, file }) => (kind === 'file') === (file !== undefined), '`file` belongs to `kind: file`')
          .refine(
            ({ kind, label }) => (kind === 'pkcs11') === (label !== undefined),
            '`label` belongs to `kind: pkcs11`',
          ),
      )
      .max(8)
      .default([])
      .describe('What opens the store by itself at each start; without any, people open it'),
    pkcs11: z
      .strictObject({
        module: path().describe("The vendor's PKCS#11 library"),
        token: z
          .string()
          .regex(/^[\x20-\x7e]{1,32}$/, 'must be 1 to 32 printable characters')
          .describe('Label of the token'),
        pinFile: path().describe('File that holds the user PIN'),
        deadlineMs: count(100, 60_000)
          .default(5_000)
          .describe('A token that has not answered after this time is given up'),
      })
      .optional()
      .describe('A token that holds keys, or the key of a slot'),
    audit: z
      .strictObject({
        file: path().default('/var/lib/sealpost/audit/audit.log').describe('Append-only audit log'),
        deadlineMs: count(100, 60_000)
          .default(2_000)
          .describe('An operation fails when its audit record is not on disk after this time'),
      })
      .prefault({}),
    leases: z
      .strictObject({
        seconds: count(60, 300).default(300).describe('Life of a leased key in a worker'),
        perClient: count(1, 1_000_000)
          .default(10_000)
          .describe('Most live leases of one client certificate; workers that share one share this'),
        acknowledgeSeconds: count(1, 60)
          .default(10)
          .describe('A worker that has not dropped a lease called back after this time gets no more'),
      })
      .prefault({}),
    refusedClients: z
      .array(z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in lower-case hex'))
      .default([])
      .describe('SHA-256 of client certificates that are refused before they expire'),
  })
  .refine(
    ({ slots, pkcs11 }) => pkcs11 !== undefined || slots.every(({ kind }) => kind !== 'pkcs11'),
    'a slot of `kind: pkcs11` needs the section `pkcs11`',
  )
  .prefault({});

export type KeyServerConfig = Section<typeof keyServer>;
