// Fills the engine's memory of certificates up to its bound: with as many as that from the start, what grows in a run is something else.

import { cacheSize, certificateFromDer } from '../../packages/smime/src/pki/certificate.ts';
import { middle } from './people.ts';

/** A certificate of its own for each number, by its signature; nobody verifies it. */
function numbered(number: number): Buffer {
  const der = Buffer.from(middle.certificate.der);
  der.writeUInt32BE(number, der.length - 4);
  return der;
}

export function fillCaches(): void {
  for (let number = 0, last = -1; cacheSize().certificates > last; number++) {
    last = cacheSize().certificates;
    const { publicKey, subject, issuer } = certificateFromDer(numbered(number));
    void [publicKey, subject, issuer];
  }
}
