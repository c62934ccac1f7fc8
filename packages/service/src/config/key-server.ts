// Section `keyServer`: the key service's own store, what opens it, its audit log, and the bounds of what it lends.

import * as z from 'zod';
import { exportFormats } from '../audit/syslog.ts';
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
        segmentBytes: count(64 * 1024, 1024 * 1024 * 1024)
          .default(64 * 1024 * 1024)
          .describe('A file of the log that reached this length is closed and the next one begun'),
        export: z
          .array(
            z.strictObject({
              name: z
                .string()
                .regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be lower-case letters, digits and dashes')
                .describe('Name in logs and metrics, and of the file that keeps where it stands'),
              host: host().describe('Host of the collector'),
              port: count(1, 65_535).default(6514).describe('Port of the collector'),
              format: z.enum(exportFormats).default('syslog').describe('RFC 5424 messages, or the lines as they are'),
              tls: z.boolean().default(true).describe('TLS; without it whoever is on the way reads along'),
              caFile: path().optional().describe('PEM of the authorities that may have issued its certificate'),
            }),
          )
          .max(4)
          .default([])
          .describe('Collectors (SIEM) that get a copy of each record'),
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
        keep: count(1, 10_000).optional().describe('Newest backups that stay; without this and `keepDays` all do'),
        keepDays: count(1, 36_500).optional().describe('A backup that is younger stays too'),
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
