// Shamir's scheme over a 32-byte secret, with a commitment a share. The library gives wrong bytes for too few or damaged shares and
// says nothing, so each share is held against its commitment first, and whoever combines them must open something
// authenticated with the result. A share is 256 bits that nobody can guess: its hash tells nothing of it.

import { createHash, timingSafeEqual } from 'node:crypto';
import { fail, writeFrame } from '@sealpost/core';
import { combine, split } from 'shamir-secret-sharing';

const secretLength = 32;
/** The library's form: the secret's length, and one byte more for the point at which the polynomial was taken. */
export const shareLength = secretLength + 1;
/** More custodians than this do not meet. */
export const maxShares = 16;
/** One share that suffices would be no scheme. */
export const leastThreshold = 2;

const commitmentVersion = 1;
/** SHA-256. */
const commitmentSuite = 1;

export interface SplitSecret {
  readonly shares: readonly Buffer[];
  /** In the order of the shares. */
  readonly commitments: readonly Buffer[];
}

/** Splits a 32-byte secret into `count` shares of which any `threshold` give it back. Error: `sealed-malformed` for other numbers. */
export async function splitSecret(secret: Buffer, threshold: number, count: number): Promise<SplitSecret> {
  const fits =
    secret.length === secretLength && threshold >= leastThreshold && threshold <= count && count <= maxShares;
  if (!fits || !Number.isInteger(threshold) || !Number.isInteger(count)) throw fail('sealed-malformed');
  const shares = (await split(asBytes(secret), count, threshold)).map(asBuffer);
  return { shares, commitments: shares.map(commitmentOf) };
}

/** Number of the commitment that the share belongs to, from 0; undefined when it is none of these. */
export function shareIndex(share: Buffer, commitments: readonly Buffer[]): number | undefined {
  if (share.length !== shareLength) return undefined;
  const mine = commitmentOf(share);
  const index = commitments.findIndex((each) => each.length === mine.length && timingSafeEqual(each, mine));
  return index === -1 ? undefined : index;
}

/** The secret, from shares that were held against their commitments. The caller overwrites it, and them, after use. */
export async function combineShares(shares: readonly Buffer[]): Promise<Buffer> {
  if (shares.length < leastThreshold || shares.some((share) => share.length !== shareLength))
    throw fail('sealed-malformed');
  return asBuffer(await combine(shares.map(asBytes)));
}

/** The library takes no subclass. */
function asBytes({ buffer, byteOffset, byteLength }: Buffer): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** The same memory, so that overwriting it leaves nothing behind. */
function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

function commitmentOf(share: Buffer): Buffer {
  return createHash('sha256')
    .update(writeFrame(commitmentVersion, commitmentSuite, ['sealpost share', share]))
    .digest();
}
