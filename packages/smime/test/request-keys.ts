// Key pairs by the names that the tests of requests use.

import { generateKeyPairSync, type KeyObject } from 'node:crypto';

const curves: Readonly<Record<string, string>> = { 'p-256': 'P-256', 'p-384': 'P-384', 'p-521': 'P-521' };

export function makeKey(type: string): { readonly privateKey: KeyObject; readonly publicKey: KeyObject } {
  if (type === 'rsa') return generateKeyPairSync('rsa', { modulusLength: 2048 });
  const namedCurve = curves[type];
  if (namedCurve !== undefined) return generateKeyPairSync('ec', { namedCurve });
  return generateKeyPairSync(type as 'ed25519');
}
