// Key versions: their states, their rotation, their end.

import { z } from 'zod';
import { type KeyState, keyStates } from './key-states.ts';
import { bytes, keyId, nothing, tenant, time } from './values.ts';

const state = z.enum(Object.keys(keyStates) as [KeyState, ...KeyState[]]);
const use = z.enum(['signing', 'decryption', 'spool', 'mac', 'ca', 'backup']);

const keySummary = z.object({
  keyId: z.string(),
  tenant: z.string(),
  identity: z.string(),
  use,
  version: z.number().int(),
  algorithm: z.string(),
  state,
  createdAt: time,
  /** When it came into its state. */
  since: time,
  /** End of the window in which its destruction can be cancelled. */
  destroyAt: time.optional(),
  /** When its successor is due; of the version in use only. */
  nextRotation: time.optional(),
});

const moved = { request: z.strictObject({ keyId }), answer: z.object({ keys: z.array(keySummary) }) } as const;

export const keyLifeOperations = {
  'keys-list': {
    request: z.strictObject({
      tenant: tenant.optional(),
      /** An address, or a part of the gateway such as `stage.crypto`. */
      identity: z.string().min(1).max(320).optional(),
      state: state.optional(),
    }),
    answer: z.object({ keys: z.array(keySummary) }),
  },
  'keys-show': {
    request: z.strictObject({ keyId }),
    answer: z.object({
      key: keySummary,
      /** SPKI; empty for an HMAC key. */
      publicKey: bytes(8 * 1024),
      /** SHA-256 of the certificates that its public key stands in. */
      certificates: z.array(z.string()),
    }),
  },
  /** Asks an authority elsewhere for the certificate of a key that waits for one: PKCS#10, signed by that key. */
  'keys-csr': {
    request: z.strictObject({ keyId }),
    answer: z.object({ request: bytes(32 * 1024) }),
  },
  /** Key-encryption keys: two versions of a use where one replaces the other. */
  'kek-list': {
    request: nothing,
    answer: z.object({ keks: z.array(z.object({ use: z.string(), versions: z.array(z.number().int()) })) }),
  },
  'keys-rotate': {
    request: z.strictObject({
      tenant,
      identity: z.string().min(1).max(320),
      use: use.exclude(['ca', 'backup']).optional(),
    }),
    answer: z.object({ keys: z.array(keySummary) }),
  },
  'keys-suspend': moved,
  'keys-resume': moved,
  'keys-deactivate': moved,
  'keys-compromise': moved,
  'keys-destroy-cancel': moved,
} as const;
