// Key-encryption keys: one per use of keys, versioned, each wrapped by the root. The root is needed to open them and then
// overwritten; while the service is open it holds these only.

import { randomBytes } from 'node:crypto';
import { fail, writeFrame } from '@sealpost/core';
import { box, unbox } from './box.ts';

/** A domain of use. `record` seals the store's rows, `index` makes the names that rows are found by, `audit` hides addresses. */
export const kekUses = ['signing', 'decryption', 'spool', 'mac', 'ca', 'record', 'index', 'audit'] as const;
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
  /** A version of a use, to open with; `sealed-malformed` when there is none. */
  at(use: KekUse, version: number): Buffer;
  /** Overwrites them all. */
  forget(): void;
}

const kekVersion = 1;
/** AES-256-GCM. */
const kekSuite = 1;

/** One key per use, version 1, wrapped by a new store's root. */
export function makeKeks(root: Buffer, storeId: string): WrappedKek[] {
  return kekUses.map((use) => {
    const key = randomBytes(32);
    const wrapped = Buffer.concat([Buffer.from([kekVersion, kekSuite]), box(root, key, bound(use, 1, storeId))]);
    key.fill(0);
    return { use, version: 1, wrapped };
  });
}

/** Opens every wrapped key, or throws `sealed-malformed` and opens none. */
export function openKeks(root: Buffer, wrapped: readonly WrappedKek[], storeId: string): Keks {
  const opened = new Map<string, Buffer>();
  const newest = new Map<KekUse, number>();
  const forget = (): void => {
    for (const key of opened.values()) key.fill(0);
    opened.clear();
  };
  try {
    for (const { use, version, wrapped: bytes } of wrapped) {
      if (bytes[0] !== kekVersion || bytes[1] !== kekSuite) throw fail('version-unsupported');
      opened.set(`${use}/${version}`, unbox(root, bytes.subarray(2), bound(use, version, storeId)));
      newest.set(use, Math.max(version, newest.get(use) ?? 0));
    }
    if (kekUses.some((use) => !newest.has(use))) throw fail('sealed-malformed');
  } catch (error) {
    forget();
    throw error;
  }

  const at = (use: KekUse, version: number): Buffer => {
    const key = opened.get(`${use}/${version}`);
    if (!key) throw fail('sealed-malformed');
    return key;
  };
  return {
    newest: (use) => ({ version: newest.get(use) ?? 0, key: at(use, newest.get(use) ?? 0) }),
    at,
    forget,
  };
}

function bound(use: KekUse, version: number, storeId: string): Buffer {
  return writeFrame(kekVersion, kekSuite, ['sealpost kek', storeId, use, String(version)]);
}
