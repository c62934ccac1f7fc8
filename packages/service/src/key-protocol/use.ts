// Use of a user's key where it is: complete signed attributes to be signed, RecipientInfos to be opened. Justified like a lease, by
// a message's ticket and envelope. There is no operation for a bare digest, raw RSA or a raw key agreement.

import { z } from 'zod';
import { bytes, instance, keyId, maxEnvelope, maxTicket } from './values.ts';

/** One message asks for no more: a signature per group, a RecipientInfo per layer and certificate. */
const maxItems = 32;
/** Attributes as the engine writes them are below 1 KiB; names of issuers may be long. */
const maxSignedAttributes = 16 * 1024;
/** A key agreement may name many recipients at once (RFC 5652 §6.2.2); a thousand of them fit. */
const maxRecipientInfo = 256 * 1024;
/** ML-DSA-87 signs with 4,627 octets. */
const maxSignature = 8 * 1024;
/** No content cipher takes a longer key. */
const maxContentKey = 64;

const justified = { instance, keyId, ticket: bytes(maxTicket), envelope: bytes(maxEnvelope) };

export const useOperations = {
  sign: {
    request: z.strictObject({
      ...justified,
      items: z
        .array(
          z.strictObject({
            /** SHA-256 of the signer's certificate, which the attributes must name. */
            certificate: z.string().regex(/^[0-9a-f]{64}$/),
            scheme: z.string().max(32),
            digest: z.string().max(32),
            /** DER of the whole SET OF (RFC 5652 §5.4). */
            signedAttributes: bytes(maxSignedAttributes),
          }),
        )
        .min(1)
        .max(maxItems),
    }),
    answer: z.object({ signatures: z.array(bytes(maxSignature)) }),
  },
  'open-recipient': {
    request: z.strictObject({
      ...justified,
      items: z
        .array(
          z.strictObject({
            /** One RecipientInfo as received. */
            recipientInfo: bytes(maxRecipientInfo),
            /** Octets that the content cipher wants. */
            keyLength: z.int().min(1).max(maxContentKey),
          }),
        )
        .min(1)
        .max(maxItems),
    }),
    /** null where one did not open, for whatever reason. */
    answer: z.object({ contentKeys: z.array(bytes(maxContentKey).nullable()) }),
  },
} as const;
