// What PKCS#11 gives and takes, in the forms of X.509 and CMS: public keys as SPKI (RFC 5280 §4.1), digests as DigestInfo (RFC 8017
// §9.2), ECDSA signatures as DER (RFC 3279 §2.2.3).

import { createPublicKey } from 'node:crypto';
import type { HsmHash } from './hsm.ts';

/** DER of DigestInfo before the digest (RFC 8017 §9.2, note 1). */
const digestPrefixes: Readonly<Record<HsmHash, string>> = {
  sha1: '3021300906052b0e03021a05000414',
  sha256: '3031300d060960864801650304020105000420',
  sha384: '3041300d060960864801650304020205000430',
  sha512: '3051300d060960864801650304020305000440',
};

/** CKA_EC_PARAMS as a DER object identifier (RFC 5480 §2.1.1.1) → name and bytes of a coordinate. */
const curves: Readonly<Record<string, { crv: string; length: number }>> = {
  '06082a8648ce3d030107': { crv: 'P-256', length: 32 },
  '06052b81040022': { crv: 'P-384', length: 48 },
  '06052b81040023': { crv: 'P-521', length: 66 },
};

export function digestInfo(hash: HsmHash, digest: Buffer): Buffer {
  return Buffer.concat([Buffer.from(digestPrefixes[hash], 'hex'), digest]);
}

export function rsaPublicKey(modulus: Buffer, exponent: Buffer): Buffer {
  const key = { kty: 'RSA', n: modulus.toString('base64url'), e: exponent.toString('base64url') };
  return createPublicKey({ key, format: 'jwk' }).export({ format: 'der', type: 'spki' });
}

/** `point`: CKA_EC_POINT, a DER OCTET STRING around the uncompressed point; some tokens leave the wrapping out. */
export function ecPublicKey(params: Buffer, point: Buffer): Buffer {
  const curve = curves[params.toString('hex')];
  if (!curve) throw new Error('a curve that is not used here');
  const bare = point.subarray(point.length - 2 * curve.length - 1);
  if (bare[0] !== 4 || bare.length !== 2 * curve.length + 1) throw new Error('not an uncompressed point');
  const [x, y] = [bare.subarray(1, 1 + curve.length), bare.subarray(1 + curve.length)];
  const key = { kty: 'EC', crv: curve.crv, x: x.toString('base64url'), y: y.toString('base64url') };
  return createPublicKey({ key, format: 'jwk' }).export({ format: 'der', type: 'spki' });
}

/** Bytes of a coordinate of an EC key given as SPKI. */
export function coordinateLength(spki: Buffer | undefined): number {
  const { crv } = spki ? createPublicKey({ key: spki, format: 'der', type: 'spki' }).export({ format: 'jwk' }) : {};
  const curve = Object.values(curves).find((each) => each.crv === crv);
  if (!curve) throw new Error('not an elliptic curve key');
  return curve.length;
}

/** From `r` and `s` one after the other (PKCS #11 v2.40 §2.3.1). */
export function derSignature(raw: Buffer): Buffer {
  const half = raw.length / 2;
  const body = Buffer.concat([integer(raw.subarray(0, half)), integer(raw.subarray(half))]);
  return Buffer.concat([header(0x30, body.length), body]);
}

function integer(unsigned: Buffer): Buffer {
  let start = 0;
  while (start < unsigned.length - 1 && unsigned[start] === 0) start++;
  const least = unsigned.subarray(start);
  const value = (least[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), least]) : least;
  return Buffer.concat([header(0x02, value.length), value]);
}

/** P-521 needs a length of two octets. */
function header(tag: number, length: number): Buffer {
  return Buffer.from(length < 0x80 ? [tag, length] : [tag, 0x81, length]);
}
