// Two stores as one: small messages where a round trip is cheap, large ones where bytes are. The crossing was measured
// (docs/adr, "Where sealed messages wait"). The small store knows of every id: for a large message it holds a mark that sends the
// reader on, so that no small one is ever looked for among the files.

import { fail } from '@sealpost/core';
import type { RedisBlobs } from './redis-blobs.ts';
import type { SpoolBlobs } from './spool-blobs.ts';

/** Sealed bytes are longer, and begin with a version, which is never 0. */
const elsewhere = Buffer.from('\0large');

const isMark = (bytes: Buffer): boolean => bytes.equals(elsewhere);

/** Bytes shorter than `below` go to `small`, the others to `large`; a reader need not know which. */
export function tieredBlobs(small: RedisBlobs, large: SpoolBlobs, below: number): SpoolBlobs {
  async function fromLarge(id: string): Promise<Buffer> {
    const bytes = await large.get(id);
    // Whoever removed it was done with it, or the volume is not the one that was written to.
    if (!bytes) throw fail('blob-unavailable');
    return bytes;
  }

  return {
    async put(id, bytes) {
      if (bytes.length < below) return small.put(id, bytes);
      // At once: nobody looks for an id before its job is there, which comes after both.
      await Promise.all([large.put(id, bytes), small.put(id, elsewhere)]);
    },
    async putOnce(id, bytes) {
      // Always the small tier, whatever the size: two tiers could not agree on who was first.
      const kept = await small.putOnce(id, bytes);
      return isMark(kept) ? fromLarge(id) : kept;
    },
    async get(id) {
      const found = await small.get(id);
      return found && isMark(found) ? large.get(id) : found;
    },
    async size(id) {
      const length = await small.size(id);
      return length === elsewhere.length ? large.size(id) : length;
    },
    async remove(id) {
      const length = await small.take(id);
      // Nothing there: a file whose mark never came to be, or went first when a process died here.
      if (length === 0 || length === elsewhere.length) await large.remove(id);
    },
    async *olderThan(time) {
      yield* small.olderThan(time);
      for await (const id of large.olderThan(time)) if ((await small.size(id)) === 0) yield id;
    },
    async close() {
      await Promise.all([small.close(), large.close()]);
    },
  };
}
