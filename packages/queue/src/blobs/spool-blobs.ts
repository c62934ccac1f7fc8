// What this room asks of a blob store beyond the pipeline's port: sizes for the quarantine's cap, and what is old enough to be
// an orphan. Ids become file names and parts of Redis keys, so each store checks them before anything else.

import { type BlobStore, fail } from '@sealpost/core';

export interface SpoolBlobs extends BlobStore {
  /** Bytes stored under an id; 0 when there are none. */
  size(id: string): Promise<number>;
  /** Ids whose bytes were written before `time`. */
  olderThan(time: Date): AsyncIterable<string>;
}

/** Message ids, delivery ids and `plan-` ids fit; a dot, a slash, a colon or a NUL never does. */
const idPattern = /^[a-z0-9][a-z0-9-]{0,127}$/;

export function isBlobId(id: string): boolean {
  return idPattern.test(id);
}

/** The id itself; throws `id-invalid` for what could be a path trick. */
export function checkedBlobId(id: string): string {
  if (!isBlobId(id)) throw fail('id-invalid');
  return id;
}
