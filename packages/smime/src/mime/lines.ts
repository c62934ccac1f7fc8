// One look over the octets of a text for its line ends (RFC 5321 §2.3.8, RFC 2045 §2.7). Signed content of many megabytes
// passes through here, so four octets are looked at together: nearly all of them are neither CR, LF nor NUL.

export interface LineEnds {
  /** No NUL, bare CR or bare LF: what every SMTP receiver takes. */
  readonly safe: boolean;
  /** Octets of the longest line without its end; only when safe. */
  readonly longest: number;
}

const LF = 0x0a;
const CR = 0x0d;
/** Four times one above CR, and four times the high bit. */
const ABOVE = 0x0e0e0e0e;
const HIGH = 0x80808080;
const NONE = new Uint32Array(0);

export function scanLineEnds(bytes: Buffer): LineEnds {
  const { length } = bytes;
  const unaligned = Math.min(length, (4 - (bytes.byteOffset & 3)) & 3);
  const count = (length - unaligned) >> 2;
  const words = count === 0 ? NONE : new Uint32Array(bytes.buffer, bytes.byteOffset + unaligned, count);
  let start = 0;
  let longest = 0;
  let at = 0;
  while (at < length) {
    if (at >= unaligned) {
      // The classic test for a byte below n in a word; a borrow can make it say yes in vain, never no.
      let index = (at - unaligned) >> 2;
      while (index < count) {
        const word = words[index] ?? 0;
        if (((word - ABOVE) & ~word & HIGH) !== 0) break;
        index += 1;
      }
      at = unaligned + index * 4;
    }
    const end = Math.min(length, at < unaligned ? unaligned : at + 4);
    for (; at < end; at++) {
      const octet = bytes[at];
      if (octet === LF) {
        if (bytes[at - 1] !== CR) return { safe: false, longest };
        longest = Math.max(longest, at - 1 - start);
        start = at + 1;
      } else if ((octet === CR && bytes[at + 1] !== LF) || octet === 0) return { safe: false, longest };
    }
  }
  return { safe: true, longest: Math.max(longest, length - start) };
}
