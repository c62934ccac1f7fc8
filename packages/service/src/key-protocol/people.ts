// People of the tenants and whom they trust: certificates as the worker looks them up, and what an operator adds and lists.

import { z } from 'zod';
import { decryptionAlgorithms, signingAlgorithms } from './key-algorithms.ts';
import { address, bytes, certificate, maxImport, tenant, time } from './values.ts';

const certificateRecord = z.object({
  fingerprint: z.string(),
  certificate,
  chain: z.array(certificate),
  address: z.string(),
  keyId: z.string().optional(),
  pinned: z.boolean(),
  /** Only where it is so. */
  opensOnly: z.literal(true).exactOptional(),
});

const certificateSummary = z.object({
  fingerprint: z.string(),
  subject: z.string(),
  issuer: z.string(),
  algorithm: z.string(),
  /** What its key of ours is for; `partner` where the key is somebody else's. */
  use: z.enum(['signing', 'decryption', 'partner']),
  keyId: z.string().optional(),
  notBefore: time,
  notAfter: time,
});

const identity = z.object({ tenant: z.string(), address: z.string(), certificates: z.array(certificateSummary) });
const anchorSummary = z.object({
  tenant: z.string(),
  fingerprint: z.string(),
  subject: z.string(),
  notAfter: time,
  /** The tenant's internal CA, trusted from the start. */
  own: z.boolean(),
});

export const peopleOperations = {
  certificates: {
    // Whatever stands in an envelope is looked up; only what gets keys must have the form of an address.
    request: z.strictObject({ tenant, address: z.string().max(1024) }),
    answer: z.object({ records: z.array(certificateRecord) }),
  },
  'trust-anchors': { request: z.strictObject({ tenant }), answer: z.object({ certificates: z.array(certificate) }) },

  'identity-add': {
    request: z.strictObject({
      address,
      algorithm: z.enum(signingAlgorithms).default('rsa-2048'),
      /** Of the decryption key, where it is not the one that belongs to `algorithm`. */
      decryptionAlgorithm: z.enum(decryptionAlgorithms).optional(),
      /** One certificate for both uses instead of one each. */
      single: z.boolean().default(false),
      commonName: z.string().min(1).max(64).optional(),
    }),
    answer: identity,
  },
  'identity-list': {
    request: z.strictObject({ tenant: tenant.optional() }),
    answer: z.object({ identities: z.array(identity) }),
  },
  'identity-show': {
    request: z.strictObject({ tenant: tenant.optional(), address }),
    answer: z.object({ identity, records: z.array(certificateRecord) }),
  },
  import: {
    request: z.strictObject({
      tenant: tenant.optional(),
      /** Takes only what names this address. */
      address: address.optional(),
      /** PKCS#12, or PEM with certificates and at most one private key. */
      file: bytes(maxImport),
      password: z.string().max(1024).optional(),
    }),
    answer: z.object({ imported: z.array(identity) }),
  },
  /** A key that was made in the service's PKCS#11 token, and its certificate. */
  'keys-add-token': {
    request: z
      .strictObject({
        label: z.string().min(1).max(256).optional(),
        /** CKA_ID in hex. */
        id: z
          .string()
          .regex(/^([0-9a-f]{2}){1,64}$/)
          .optional(),
        /** Takes only what names this address; whose key it is, where there is no certificate yet. */
        address: address.optional(),
        /** Certificate and its issuers, PEM or DER. Without it the key waits for one. */
        file: bytes(maxImport).optional(),
        /** Of a key that waits; for both without it. */
        use: z.enum(['signing', 'decryption']).optional(),
      })
      .refine(({ label, id }) => label !== undefined || id !== undefined)
      .refine(({ file, address: of, use }) => (file === undefined ? of !== undefined : use === undefined)),
    answer: z.object({
      imported: z.array(identity),
      /** Keys that wait for their certificate. */
      waiting: z.array(z.string()),
    }),
  },
  'trust-add': {
    request: z.strictObject({ tenant: tenant.optional(), file: bytes(maxImport) }),
    answer: z.object({ anchors: z.array(anchorSummary) }),
  },
  'trust-list': {
    request: z.strictObject({ tenant: tenant.optional() }),
    answer: z.object({ anchors: z.array(anchorSummary) }),
  },
} as const;
