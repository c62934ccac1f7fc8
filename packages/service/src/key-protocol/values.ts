// The small forms that requests and answers of the key service are made of. Bytes are base64, times ISO 8601.

import { z } from 'zod';

/** Longest address that a request may name: RFC 5321 §4.5.3.1.3 and room for UTF-8. */
const maxAddress = 320;
/** Longest imported file: a PKCS#12 with long chains is some tens of kilobytes. */
export const maxImport = 512 * 1024;
/** Longest ticket as core writes them. */
export const maxTicket = 8 * 1024;
/** An envelope with 1,000 recipients of 254 characters with ORCPT stays below. */
export const maxEnvelope = 768 * 1024;
/** Leases in one request: some milliseconds of work, so that nobody else waits long. */
export const maxLeases = 32;

export const bytes = (max: number) =>
  z.codec(z.base64().max(Math.ceil(max / 3) * 4), z.instanceof(Buffer), {
    decode: (text) => Buffer.from(text, 'base64'),
    encode: (buffer) => buffer.toString('base64'),
  });
export const time = z.codec(z.iso.datetime(), z.date(), {
  decode: (text) => new Date(text),
  encode: (date) => date.toISOString(),
});

export const tenant = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/);
export const address = z
  .string()
  .max(maxAddress)
  .regex(/^[^\s@<>\p{Cc}]+@[^\s@<>\p{Cc}]+$/u);
export const keyId = z.string().min(7).max(1024);
export const stage = z.enum(['crypto', 'delivery']);
/** A process, unique in the installation while it lives. */
export const instance = z.string().regex(/^[A-Za-z0-9._-]{1,128}$/);
/** An X25519 public key made for this one answer (RFC 7748). */
export const ephemeral = bytes(32);
export const certificate = bytes(128 * 1024);

/** A private key or secret, HPKE-sealed to the caller's ephemeral key; see sealed-key.ts for what it is bound to. */
export const sealedKey = z.object({
  leaseId: z.string(),
  keyId: z.string(),
  expiresAt: time,
  sealed: bytes(64 * 1024),
});

export const nothing = z.strictObject({});
