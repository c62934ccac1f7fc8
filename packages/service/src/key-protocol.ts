// What travels between the stages or an operator and the key service: one JSON object each way per operation, `POST /v1/<name>`
// over mTLS. Both sides read this table, so a field cannot mean two things. Bytes are base64, times ISO 8601.

import { z } from 'zod';

/** Longest address that a request may name: RFC 5321 §4.5.3.1.3 and room for UTF-8. */
const maxAddress = 320;
/** Longest imported file: a PKCS#12 with long chains is some tens of kilobytes. */
const maxImport = 512 * 1024;
/** Longest ticket as core writes them. */
const maxTicket = 8 * 1024;
/** An envelope with 1,000 recipients of 254 characters with ORCPT stays below. */
const maxEnvelope = 768 * 1024;

const bytes = (max: number) =>
  z.codec(z.base64().max(Math.ceil(max / 3) * 4), z.instanceof(Buffer), {
    decode: (text) => Buffer.from(text, 'base64'),
    encode: (buffer) => buffer.toString('base64'),
  });
const time = z.codec(z.iso.datetime(), z.date(), {
  decode: (text) => new Date(text),
  encode: (date) => date.toISOString(),
});

const tenant = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/);
const address = z
  .string()
  .max(maxAddress)
  .regex(/^[^\s@<>\p{Cc}]+@[^\s@<>\p{Cc}]+$/u);
const keyId = z.string().min(7).max(1024);
const stage = z.enum(['crypto', 'delivery']);
/** A process, unique in the installation while it lives. */
const instance = z.string().regex(/^[A-Za-z0-9._-]{1,128}$/);
/** An X25519 public key made for this one answer (RFC 7748). */
const ephemeral = bytes(32);
const certificate = bytes(128 * 1024);

/** A private key or secret, HPKE-sealed to the caller's ephemeral key; see sealed-key.ts for what it is bound to. */
const sealedKey = z.object({ leaseId: z.string(), keyId: z.string(), expiresAt: time, sealed: bytes(64 * 1024) });

const status = z.object({
  sealed: z.boolean(),
  /** Why it cannot be opened, where something is wrong; `waiting` when only the passphrase is missing. */
  reason: z.enum(['waiting', 'audit-tampered', 'slot-unreadable', 'store-foreign']).optional(),
  /** The store was once opened by the development slot; it stays marked. */
  development: z.boolean(),
  slots: z.array(z.string()),
});

const certificateRecord = z.object({
  fingerprint: z.string(),
  certificate,
  chain: z.array(certificate),
  address: z.string(),
  keyId: z.string().optional(),
  pinned: z.boolean(),
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

const nothing = z.strictObject({});

const keyAlgorithms = ['rsa-2048', 'rsa-3072', 'p-256'] as const;

/** Operation → what it takes and what it answers. Requests refuse unknown fields; answers may grow. */
export const keyOperations = {
  status: { request: nothing, answer: status },
  unseal: { request: z.strictObject({ passphrase: z.string().min(1).max(1024) }), answer: status },
  seal: { request: nothing, answer: status },

  'ticket-certificate': {
    request: z.strictObject({ instance, publicKey: bytes(128) }),
    answer: z.object({ certificate, notAfter: time }),
  },
  authorities: { request: nothing, answer: z.object({ certificates: z.array(certificate) }) },
  'spool-public-key': {
    request: z.strictObject({ tenant, stage }),
    answer: z.object({ keyId: z.string(), publicKey: bytes(128) }),
  },
  'spool-private-key': { request: z.strictObject({ instance, keyId, ephemeral }), answer: sealedKey },
  'marker-keys': {
    request: z.strictObject({ instance, tenant, ephemeral }),
    answer: z.object({ keys: z.array(sealedKey) }),
  },
  lease: {
    request: z.strictObject({ instance, keyId, ephemeral, ticket: bytes(maxTicket), envelope: bytes(maxEnvelope) }),
    answer: sealedKey,
  },

  certificates: {
    // Whatever stands in an envelope is looked up; only what gets keys must have the form of an address.
    request: z.strictObject({ tenant, address: z.string().max(1024) }),
    answer: z.object({ records: z.array(certificateRecord) }),
  },
  'trust-anchors': { request: z.strictObject({ tenant }), answer: z.object({ certificates: z.array(certificate) }) },

  'release-ticket': {
    /** `message`: the one that the operator means; the ticket comes from Redis, and whoever writes there could show another's. */
    request: z.strictObject({ message: z.string().max(80), ticket: bytes(maxTicket) }),
    answer: z.object({ ticket: bytes(maxTicket) }),
  },
  'identity-add': {
    request: z.strictObject({
      address,
      algorithm: z.enum(keyAlgorithms).default('rsa-2048'),
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
  'trust-add': {
    request: z.strictObject({ tenant: tenant.optional(), file: bytes(maxImport) }),
    answer: z.object({ anchors: z.array(anchorSummary) }),
  },
  'trust-list': {
    request: z.strictObject({ tenant: tenant.optional() }),
    answer: z.object({ anchors: z.array(anchorSummary) }),
  },
} as const;

export type KeyOperation = keyof typeof keyOperations;
/** A request as the caller gives it, defaults left out. */
export type KeyRequestInput<O extends KeyOperation> = O extends KeyOperation
  ? Partial<KeyRequest<O>> & Omit<KeyRequest<O>, 'algorithm' | 'single'>
  : never;
/** A request as the service reads it. */
export type KeyRequest<O extends KeyOperation> = z.output<(typeof keyOperations)[O]['request']>;
export type KeyAnswer<O extends KeyOperation> = z.output<(typeof keyOperations)[O]['answer']>;

/** What the key service says beside the pipeline's own codes: code → HTTP status and public sentence, both constants. */
export const keyFaults = {
  'request-malformed': [400, 'The request does not have the form that this operation asks for'],
  forbidden: [403, 'This credential may not do that'],
  'passphrase-wrong': [403, 'The passphrase does not open the store'],
  'not-found': [404, 'There is no such thing here'],
  exists: [409, 'This address has keys already'],
  'request-too-large': [413, 'The request is larger than this operation takes'],
  'address-not-ours': [422, 'The address belongs to no domain of the tenant'],
  'tenant-needed': [422, 'There are several tenants; name the one that is meant'],
  'import-unreadable': [422, 'The file is not a PKCS#12 or PEM file with usable certificates'],
  'import-password-wrong': [422, 'The password does not open the file'],
  'import-mismatch': [422, 'The private key, the certificate and the address do not belong together'],
  'trust-not-ca': [422, 'The file holds a certificate that is not one of a certification authority'],
  'too-many-attempts': [429, 'Too many attempts; wait a minute'],
  'audit-tampered': [503, 'The audit log is not the one that this store wrote; the store stays sealed'],
  'store-foreign': [503, 'The service CA on disk is not the one of the store; the store stays sealed'],
} as const satisfies Record<string, readonly [status: number, text: string]>;

export type KeyFaultCode = keyof typeof keyFaults;

/** An answer of the key service that is not of the pipeline's error table; operators see its sentence. */
export class KeyFault extends Error {
  override readonly name = 'KeyFault';
  readonly code: KeyFaultCode;

  constructor(code: KeyFaultCode) {
    super(keyFaults[code][1]);
    this.code = code;
  }
}

export function isKeyFaultCode(text: string): text is KeyFaultCode {
  return Object.hasOwn(keyFaults, text);
}
