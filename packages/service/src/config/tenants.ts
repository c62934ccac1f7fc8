// Section `tenants`: the organisations that this gateway serves, their mail domains, how their recipients are checked, and what
// is done with their mail.

import { isAddress, normalAddress } from '@sealpost/core';
import * as z from 'zod';
import { address, domain, type Section, tenant } from './values.ts';

const exemptions = ['calendar', 'report', 'auto-reply', 'pgp', 'protected'] as const;

const outboundPolicy = z.strictObject({
  sign: z
    .enum(['always', 'if-possible', 'never'])
    .default('if-possible')
    .describe('`always`: mail of senders without a signing key is returned; `if-possible`: it leaves unsigned'),
  withoutCertificate: z
    .enum(['plain', 'bounce'])
    .default('plain')
    .describe('What happens to a recipient without a valid certificate: sent unencrypted, or returned to the sender'),
  exempt: z
    .array(z.enum(exemptions))
    .default([...exemptions])
    .describe('Kinds of mail that pass unchanged'),
});

const inboundPolicy = z.strictObject({
  clearSigned: z
    .enum(['keep', 'strip'])
    .default('keep')
    .describe('Clear-signed mail: `keep` the signature and add headers only, or `strip` it and add the footer'),
  footer: z
    .strictObject({
      verified: z
        .string()
        .max(1000)
        .default("This mail's signature was verified by the mail gateway.")
        .describe('Footer of opened mail with a valid signature of its sender; empty for none'),
      unverified: z
        .string()
        .max(1000)
        .default("This mail's signature could NOT be verified by the mail gateway.")
        .describe('Footer of opened mail whose signature is not valid; empty for none'),
      unsigned: z
        .string()
        .max(1000)
        .default('This mail arrived encrypted and was not signed.')
        .describe('Footer of decrypted mail without a signature; empty for none'),
    })
    .prefault({}),
  subjectTag: z
    .strictObject({
      verified: z.string().max(40).default('').describe('Put before the subject of verified mail; empty for none'),
      decrypted: z.string().max(40).default('').describe('Put before the subject of decrypted mail; empty for none'),
    })
    .prefault({}),
});

const recipients = z.strictObject({
  check: z
    .enum(['list', 'probe', 'domain'])
    .default('domain')
    .describe('How inbound recipients are checked: against `list`, by asking `probe`, or by their domain only'),
  list: z
    .array(z.string().refine(isAddress, 'must be a mail address').transform(normalAddress))
    .default([])
    .describe('Addresses that exist, for `check: list`'),
  probe: address().optional().describe('SMTP server that is asked with RCPT, for `check: probe`'),
});

export const tenants = z
  .array(
    z.strictObject({
      id: tenant().describe('Short name of the organisation; part of every key id, so it never changes'),
      domains: z.array(domain()).min(1).describe('Mail domains of the organisation'),
      recipients: recipients.prefault({}),
      policy: z
        .strictObject({ outbound: outboundPolicy.prefault({}), inbound: inboundPolicy.prefault({}) })
        .prefault({}),
    }),
  )
  .min(1)
  .describe('The organisations that this gateway serves');

export type TenantsConfig = Section<typeof tenants>;
export type TenantConfig = TenantsConfig[number];
