// Shares of custodians in hand: each is held against the commitments of the store's slots when it comes, counted once, and kept in
// memory until there are enough of one slot, somebody gives up, or the others stay away.

import { generateKeyPairSync } from 'node:crypto';
import { rawPublicKey } from '@sealpost/core';
import { combineShares, KeyFault, openServiceShare, type SlotFacts, shareIndex } from '@sealpost/service';
import { factsOf, type Slot } from './vault/slots.ts';

/** Custodians who do not come within this time after the last one begin again. */
const waitMs = 60 * 60 * 1000;

export interface ShareProgress {
  readonly slot: string;
  readonly have: number;
  readonly need: number;
  readonly of: number;
}

export interface SharesInHand {
  /** Raw X25519 public key of this process, to which shares are sealed. */
  readonly key: Buffer;
  /**
   * Takes a sealed share; the slot and its secret once there are enough, which are then no longer in hand. Fault: `share-wrong`,
   * also for one that was sealed to another process.
   */
  take(sealed: Buffer, slots: readonly Slot[]): Promise<{ progress: ShareProgress; slot: Slot; secret?: Buffer }>;
  /** Of every slot that takes shares. */
  progress(slots: readonly Slot[]): ShareProgress[];
  /** Overwrites what is in hand; how many there were. */
  reset(): number;
}

type ShamirSlot = Extract<SlotFacts, { kind: 'shamir' }>;

/** Made with the process: what was sealed for one that ended opens nothing. */
export function openSharesInHand(): SharesInHand {
  const { privateKey, publicKey } = generateKeyPairSync('x25519');
  /** Slot's public key in hex → number of the share → share. */
  const inHand = new Map<string, Map<number, Buffer>>();
  let timer: NodeJS.Timeout | undefined;
  const keyOf = (facts: ShamirSlot): string => facts.publicKey.toString('hex');

  function reset(): number {
    clearTimeout(timer);
    const shares = [...inHand.values()].flatMap((of) => [...of.values()]);
    for (const share of shares) share.fill(0);
    inHand.clear();
    return shares.length;
  }

  const progressOf = (facts: ShamirSlot): ShareProgress => ({
    slot: facts.label,
    have: inHand.get(keyOf(facts))?.size ?? 0,
    need: facts.threshold,
    of: facts.commitments.length,
  });

  function opened(sealed: Buffer): Buffer {
    try {
      return openServiceShare(sealed, privateKey);
    } catch {
      throw new KeyFault('share-wrong');
    }
  }

  return {
    key: Buffer.from(rawPublicKey(publicKey)),
    async take(sealed, slots) {
      const share = opened(sealed);
      for (const { slot, facts } of shamirSlots(slots)) {
        const number = shareIndex(share, facts.commitments);
        if (number === undefined) continue;
        const known = inHand.get(keyOf(facts)) ?? new Map<number, Buffer>();
        inHand.set(keyOf(facts), known.set(number, share));
        clearTimeout(timer);
        timer = setTimeout(reset, waitMs);
        timer.unref();
        const progress = progressOf(facts);
        if (known.size < facts.threshold) return { progress, slot };
        try {
          return { progress, slot, secret: await combineShares([...known.values()].slice(0, facts.threshold)) };
        } finally {
          reset();
        }
      }
      share.fill(0);
      throw new KeyFault('share-wrong');
    },
    progress: (slots) => shamirSlots(slots).map(({ facts }) => progressOf(facts)),
    reset,
  };
}

function shamirSlots(slots: readonly Slot[]): { slot: Slot; facts: ShamirSlot }[] {
  return slots.flatMap((slot) => {
    if (slot.kind !== 'shamir') return [];
    const facts = factsOf(slot);
    return facts?.kind === 'shamir' ? [{ slot, facts }] : [];
  });
}
