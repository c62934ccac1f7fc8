// Fresh private keys, and the names of their algorithms.

import { createSecretKey, generateKeyPair, type KeyObject, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import type { KeyAlgorithmName } from '@sealpost/service';
import { using } from '../vault/box.ts';

/** What the service makes keys of; imported ones may be others. */
export type NewAlgorithm = KeyAlgorithmName | 'hmac-sha256';

const rsa = promisify(generateKeyPair) as (type: 'rsa', options: { modulusLength: number }) => Promise<Pair>;
const ec = promisify(generateKeyPair) as (type: 'ec', options: { namedCurve: string }) => Promise<Pair>;
const plain = promisify(generateKeyPair) as (type: string, options: undefined) => Promise<Pair>;

interface Pair {
  readonly privateKey: KeyObject;
}

const curves: Readonly<Record<string, string>> = { 'p-256': 'P-256', 'p-384': 'P-384', 'p-521': 'P-521' };
const curveNames: Readonly<Record<string, string>> = {
  prime256v1: 'p-256',
  secp384r1: 'p-384',
  secp521r1: 'p-521',
};

/** A fresh private key; generation runs in the thread pool. */
export async function makePrivateKey(algorithm: NewAlgorithm): Promise<KeyObject> {
  if (algorithm === 'hmac-sha256') return using(randomBytes(32), (secret) => createSecretKey(secret));
  const namedCurve = curves[algorithm];
  if (namedCurve !== undefined) return (await ec('ec', { namedCurve })).privateKey;
  const bits = /^rsa-(\d+)$/.exec(algorithm)?.[1];
  if (bits !== undefined) return (await rsa('rsa', { modulusLength: Number(bits) })).privateKey;
  return (await plain(algorithm, undefined)).privateKey;
}

export function algorithmOf({ type, asymmetricKeyType, asymmetricKeyDetails: details }: KeyObject): string {
  if (type === 'secret') return 'hmac-sha256';
  if (asymmetricKeyType === 'rsa') return `rsa-${details?.modulusLength}`;
  const curve = details?.namedCurve;
  return (curve === undefined ? asymmetricKeyType : (curveNames[curve] ?? curve)) ?? 'unknown';
}
