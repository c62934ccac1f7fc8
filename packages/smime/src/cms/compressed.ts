// CompressedData (RFC 3274), read only, with a bound on what it may become.
import { inflateSync } from 'node:zlib';
import { SmimeError } from '../errors.ts';
import { context, type DerNode, readOid, TAG } from '../pki/der.ts';
import { enterBer, stringOctets } from './ber.ts';
import { MAX_EXPANDED_BYTES, MAX_EXPANSION } from './limits.ts';
import { ZLIB_COMPRESS } from './oids.ts';
import { readAlgorithm } from './signed-data.ts';

/** Throws SmimeError `malformed-cms`, `limit-exceeded` or `unsupported-algorithm`. */
export function decompress(node: DerNode): Buffer {
  const cursor = enterBer(node);
  cursor.next(TAG.integer);
  if (readAlgorithm(cursor.next(TAG.sequence)).oid !== ZLIB_COMPRESS) throw new SmimeError('unsupported-algorithm');
  const encapsulated = enterBer(cursor.next(TAG.sequence));
  readOid(encapsulated.next(TAG.oid));
  const compressed = stringOctets(enterBer(encapsulated.next(context(0, true))).octetString());
  const maxOutputLength = Math.min(MAX_EXPANDED_BYTES, Math.max(64 * 1024, compressed.length * MAX_EXPANSION));
  try {
    return inflateSync(compressed, { maxOutputLength });
  } catch (error) {
    const tooLarge = error instanceof RangeError || (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
    throw new SmimeError(tooLarge ? 'limit-exceeded' : 'malformed-cms');
  }
}
