// The blob stores' memory twin for tests: passes the same contract, keeps nothing.

import { checkedBlobId, type SpoolBlobs } from './spool-blobs.ts';

interface Kept {
  readonly bytes: Buffer;
  readonly since: Date;
}

export function memoryBlobs(): SpoolBlobs {
  const kept = new Map<string, Kept>();
  // Copies on both ways, as a real store makes: a caller that zeroes its buffer must not change what is stored.
  const keep = (id: string, bytes: Buffer): void => {
    kept.set(checkedBlobId(id), { bytes: Buffer.from(bytes), since: new Date() });
  };
  const read = (id: string): Buffer | undefined => {
    const found = kept.get(checkedBlobId(id));
    return found && Buffer.from(found.bytes);
  };

  return {
    async put(id, bytes) {
      keep(id, bytes);
    },
    async putOnce(id, bytes) {
      if (!kept.has(checkedBlobId(id))) keep(id, bytes);
      return read(id) ?? bytes;
    },
    async get(id) {
      return read(id);
    },
    async size(id) {
      return kept.get(checkedBlobId(id))?.bytes.length ?? 0;
    },
    async remove(id) {
      kept.delete(checkedBlobId(id));
    },
    async *olderThan(time) {
      for (const [id, { since }] of [...kept]) if (since < time) yield id;
    },
    async close() {},
  };
}
