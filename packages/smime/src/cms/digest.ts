// Digests of content, each computed once for all signers, over the octets as they lie in the message.
import { createHash, hash } from 'node:crypto';
import { DIGESTS, type DigestAlgorithm, type DigestName } from './algorithms.ts';

export function digestOctets(algorithm: DigestAlgorithm, octets: readonly Buffer[]): Buffer {
  const [only] = octets;
  if (octets.length === 1 && only !== undefined && algorithm.xof === undefined) {
    return hash(algorithm.name, only, 'buffer');
  }
  const hasher = createHash(algorithm.name, algorithm.xof === undefined ? {} : { outputLength: algorithm.bytes });
  for (const piece of octets) hasher.update(piece);
  return hasher.digest();
}

/** Digests of one content by algorithm name. */
export class ContentDigests {
  readonly #octets: readonly Buffer[];
  readonly #known = new Map<DigestName, Buffer>();

  constructor(octets: readonly Buffer[]) {
    this.#octets = octets;
  }

  of(name: DigestName): Buffer {
    const known = this.#known.get(name) ?? digestOctets(DIGESTS[name], this.#octets);
    this.#known.set(name, known);
    return known;
  }
}
