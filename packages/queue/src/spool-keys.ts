// Which spool keys the spool still names: every sealed piece is read, because only what it says itself is the truth. For the one
// moment at which somebody wants to destroy a spool key.

import { formatKeyId, parseKeyId, sealedKeyId } from '@sealpost/core';
import type { SpoolBlobs } from './blobs/spool-blobs.ts';

export interface SpoolKeys {
  /** Pieces read, messages and plans. */
  readonly blobs: number;
  /** Pieces that name no key: broken, or not ours. They may be anything. */
  readonly unread: number;
  /** Pieces by key id. */
  readonly keys: ReadonlyMap<string, number>;
}

/** Errors: `blob-unavailable`. */
export async function namedSpoolKeys(blobs: SpoolBlobs, now: Date): Promise<SpoolKeys> {
  const keys = new Map<string, number>();
  let count = 0;
  let unread = 0;
  for await (const id of blobs.olderThan(now)) {
    const bytes = await blobs.get(id);
    // Its message ended meanwhile.
    if (!bytes) continue;
    count++;
    const key = keyOf(id, bytes);
    if (key === undefined) unread++;
    else keys.set(key, (keys.get(key) ?? 0) + 1);
  }
  return { blobs: count, unread, keys };
}

function keyOf(id: string, bytes: Buffer): string | undefined {
  try {
    // A plan's ticket stands before it: 16-bit length, ticket (crypto-worker, decide.ts).
    const sealed = id.startsWith('plan-') ? bytes.subarray(2 + bytes.readUInt16BE(0)) : bytes;
    return formatKeyId(parseKeyId(sealedKeyId(sealed)));
  } catch {
    return undefined;
  }
}
