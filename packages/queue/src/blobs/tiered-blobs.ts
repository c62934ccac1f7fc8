// Two stores as one: small messages where a round trip is cheap, large ones where bytes are. The crossing was measured
// (docs/adr, "Where sealed messages wait").

import type { SpoolBlobs } from './spool-blobs.ts';

/** Bytes shorter than `below` go to `small`, the others to `large`; a reader need not know which. */
export function tieredBlobs(small: SpoolBlobs, large: SpoolBlobs, below: number): SpoolBlobs {
  return {
    async put(id, bytes) {
      const [target, other] = bytes.length < below ? [small, large] : [large, small];
      await target.put(id, bytes);
      // The bytes that these replace may be in the other tier, and one id must not have two answers.
      await other.remove(id);
    },
    async putOnce(id, bytes) {
      const present = await large.get(id);
      // Always the small tier, whatever the size: two tiers could not agree on who was first.
      return present ?? small.putOnce(id, bytes);
    },
    async get(id) {
      return (await small.get(id)) ?? large.get(id);
    },
    async size(id) {
      return (await small.size(id)) || large.size(id);
    },
    async remove(id) {
      await Promise.all([small.remove(id), large.remove(id)]);
    },
    async *olderThan(time) {
      yield* small.olderThan(time);
      yield* large.olderThan(time);
    },
    async close() {
      await Promise.all([small.close(), large.close()]);
    },
  };
}
