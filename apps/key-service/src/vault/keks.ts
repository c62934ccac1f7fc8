// Key-encryption keys: one per use of keys, versioned, each wrapped by the root. While the store is open the process holds them, and
// a copy of the root, which makes new versions and slots; all are overwritten when it is sealed.

import { randomBytes } from 'node:crypto';
import { fail, writeFrame } from '@sealpost/core';
import { box, unbox, using } from './box.ts';

/**
 * A domain of use. `record` seals the store's rows, `index` makes the names that rows are found by, `audit` hides addresses, `state`
 * tells whether the store holds what it wrote (store/state.ts, which makes it).
 */
export const kekUses = ['signing', 'decryption', 'spool', 'mac', 'ca', 'record', 'index', 'audit', 'state'] as const;
export type KekUse = (typeof kekUses)[number];

export interface WrappedKek {
  readonly use: KekUse;
  readonly version: number;
  readonly wrapped: Buffer;
}

/** The opened keys of a store. */
export interface Keks {
  /** The newest version of a use, to seal with. */
  newest(use: KekUse): { readonly version: number; readonly key: Buffer };
  /** A version of a use, to open with. Errors: `sealed-malformed` when there is none, `key-service-sealed` after `forget`. */
  at(use: KekUse, version: number): Buffer;
  /** Every version of a use that is there, newest first. */
  versions(use: KekUse): number[];
  /** A new version, wrapped for the store; it is the newest once it is taken in. */
  make(use: KekUse): WrappedKek;
  /** Takes in what `make` made, when it is in the store. Error: `sealed-malformed`. */
  take(kek: WrappedKek): void;
  /** Overwrites a version that nothing names any more. */
  drop(use: KekUse, version: number): void;
  /** Runs `use` on the root, which stays this object's. */
  withRoot<T>(use: (root: Buffer) => T): T;
  /** Overwrites them all. */
  forget(): void;
}

const kekVersion = 1;
/** AES-256-GCM. */
const kekSuite = 1;

/** Of what every store has; `state` comes with its first opening. */
const firstUses = kekUses.filter((use) => use !== 'state');

/** One key per use, version 1, wrapped by a new store's root. */
export function makeKeks(root: Buffer, storeId: string): WrappedKek[] {
  return firstUses.map((use) => makeKek(root, storeId, use, 1));
}

function makeKek(root: Buffer, storeId: string, use: KekUse, version: number): WrappedKek {
  const wrapped = using(randomBytes(32), (key) =>
    Buffer.concat([Buffer.from([kekVersion, kekSuite]), box(root, key, bound(use, version, storeId))]),
  );
  return { use, version, wrapped };
}

/** Opens every wrapped key, or throws `sealed-malformed` and opens none. The root stays the caller's to overwrite. */
export function openKeks(root: Buffer, wrapped: readonly WrappedKek[], storeId: string): Keks {
  const held = Buffer.from(root);
  const opened = new Map<KekUse, Map<number, Buffer>>(kekUses.map((use) => [use, new Map()]));
  const of = (use: KekUse): Map<number, Buffer> => opened.get(use) ?? new Map();
  const take = ({ use, version, wrapped: bytes }: WrappedKek): void => {
    if (bytes[0] !== kekVersion || bytes[1] !== kekSuite) throw fail('version-unsupported');
    of(use).set(version, unbox(held, bytes.subarray(2), bound(use, version, storeId)));
  };
  const versions = (use: KekUse): number[] => [...of(use).keys()].sort((a, b) => b - a);
  let isForgotten = false;
  const at = (use: KekUse, version: number): Buffer => {
    // Work that was under way when the store was sealed.
    if (isForgotten) throw fail('key-service-sealed');
    const key = of(use).get(version);
    if (!key) throw fail('sealed-malformed');
    return key;
  };
  const drop = (use: KekUse, version: number): void => {
    of(use).get(version)?.fill(0);
    of(use).delete(version);
  };
  const newest = (use: KekUse): number => versions(use)[0] ?? 0;
  const forget = (): void => {
    for (const use of kekUses) for (const version of versions(use)) drop(use, version);
    held.fill(0);
    isForgotten = true;
  };
  try {
    for (const kek of wrapped) take(kek);
    if (firstUses.some((use) => newest(use) === 0)) throw fail('sealed-malformed');
  } catch (error) {
    forget();
    throw error;
  }
  return {
    newest: (use) => ({ version: newest(use), key: at(use, newest(use)) }),
    at,
    versions,
    make(use) {
      if (isForgotten) throw fail('key-service-sealed');
      return makeKek(held, storeId, use, newest(use) + 1);
    },
    take,
    drop,
    withRoot(use) {
      if (isForgotten) throw fail('key-service-sealed');
      return use(held);
    },
    forget,
  };
}

function bound(use: KekUse, version: number, storeId: string): Buffer {
  return writeFrame(kekVersion, kekSuite, ['sealpost kek', storeId, use, String(version)]);
}
