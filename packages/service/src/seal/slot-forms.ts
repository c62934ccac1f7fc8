// What a slot is before the root is sealed to it: the public half of a key pair that is made from the slot's secret, and how it is
// made. No secret is in it, so people can be shown what they approve, and the secret never travels to the service before it opens
// something.

import * as z from 'zod';
import { bytes } from '../key-protocol/values.ts';
import { leastThreshold, maxShares } from './shamir.ts';

/** Argon2id's cost (RFC 9106): memory in KiB, passes, lanes. */
export interface PassphraseCost {
  readonly memory: number;
  readonly passes: number;
  readonly parallelism: number;
}

/** The second recommended option of RFC 9106 §4, which is the least that is taken. */
export const passphraseCost: PassphraseCost = { memory: 64 * 1024, passes: 3, parallelism: 4 };
/** What somebody else wrote must not make the service work for minutes, or take more memory than its secure heap has (128 MiB). */
export const highestCost: PassphraseCost = { memory: 64 * 1024, passes: 16, parallelism: 64 };

const exactly = (length: number) => bytes(length).refine((value) => value.length === length);
const publicKey = exactly(32);
const salt = exactly(16);

export const slotLabel = z.string().regex(/^[a-z0-9][a-z0-9.-]{0,62}$/);
const label = slotLabel;

const passphraseForm = z.strictObject({
  kind: z.literal('passphrase'),
  label,
  salt,
  memory: z.int().min(passphraseCost.memory).max(highestCost.memory),
  passes: z.int().min(passphraseCost.passes).max(highestCost.passes),
  parallelism: z.int().min(1).max(highestCost.parallelism),
  publicKey,
});
const fileForm = z.strictObject({ kind: z.literal('file'), label, salt, publicKey });
const shamirForm = z
  .strictObject({
    kind: z.literal('shamir'),
    label,
    threshold: z.int().min(leastThreshold).max(maxShares),
    /** SHA-256 of each share. */
    commitments: z.array(exactly(32)).min(leastThreshold).max(maxShares),
    publicKey,
  })
  .refine(({ threshold, commitments }) => threshold <= commitments.length);
/** Label of an AES or RSA key in the token; the service makes the secret and lets the token encrypt it. */
const tokenKey = z.string().regex(/^[\x21-\x7e]{1,64}$/);

/** A slot as a person asks for it. */
export const newSlotForm = z.discriminatedUnion('kind', [
  passphraseForm,
  fileForm,
  shamirForm,
  z.strictObject({ kind: z.literal('pkcs11'), label, key: tokenKey }),
]);
export type NewSlot = z.output<typeof newSlotForm>;
export type SlotKind = NewSlot['kind'];

/** A slot as the store keeps it beside the sealed root. */
export const slotForm = z.discriminatedUnion('kind', [
  passphraseForm,
  fileForm,
  shamirForm,
  z.strictObject({
    kind: z.literal('pkcs11'),
    label,
    key: tokenKey,
    /** For an AES key; an RSA key takes OAEP with SHA-1, which every token does. */
    iv: exactly(16).optional(),
    /** The secret, as the token encrypted it. */
    secret: bytes(2048),
    publicKey,
  }),
]);
export type SlotFacts = z.output<typeof slotForm>;
