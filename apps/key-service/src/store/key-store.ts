// Key versions of an open store: made, imported, found, and used without their secret leaving the call.

import { createSecretKey, generateKeyPair, type KeyObject, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { fail, formatKeyId, type KeyId, type KeyName, type KeyUse, parseKeyId, type TenantId } from '@sealpost/core';
import { using } from '../vault/box.ts';
import type { Keks } from '../vault/keks.ts';
import { type KeyFacts, publicHalf, unwrapKey, wrapKey } from '../vault/wrap-key.ts';
import type { Records } from './records.ts';

/** What the service makes keys of; imported ones may be others. */
export type NewAlgorithm = 'rsa-2048' | 'rsa-3072' | 'p-256' | 'ed25519' | 'x25519' | 'hmac-sha256';

/** A key version, its secret wrapped. */
export interface StoredKey {
  readonly keyId: KeyId;
  readonly name: KeyName;
  readonly algorithm: string;
  /** DER; empty for an HMAC key. */
  readonly spki: Buffer;
  readonly createdAt: Date;
  /** The secret as wrap-key.ts made it. */
  readonly wrapped: Buffer;
}

/** A private key that is not in the store yet. */
interface NewKey {
  readonly tenant: TenantId;
  readonly identity: string;
  readonly use: KeyUse;
  /** For an HMAC key, a secret KeyObject. */
  readonly privateKey: KeyObject;
}

export interface KeyStore {
  /** Adds as the next version of its identity and use. */
  add(key: NewKey): StoredKey;
  get(keyId: KeyId): StoredKey | undefined;
  /** Versions of an identity's use, newest first. */
  versions(tenant: TenantId, identity: string, use: KeyUse): StoredKey[];
  /** Every version of every key of a tenant. */
  ofTenant(tenant: TenantId): StoredKey[];
  /** Runs `use` on PKCS#8 DER (or the HMAC key's bytes), which is overwritten afterwards. Errors: `key-denied` for an unknown id. */
  withSecret<T>(key: KeyId | StoredKey, use: (secret: Buffer) => T): T;
}

const generate = promisify(generateKeyPair);

/** A fresh private key; RSA generation runs in the thread pool. */
export async function makePrivateKey(algorithm: NewAlgorithm): Promise<KeyObject> {
  switch (algorithm) {
    case 'rsa-2048':
      return (await generate('rsa', { modulusLength: 2048 })).privateKey;
    case 'rsa-3072':
      return (await generate('rsa', { modulusLength: 3072 })).privateKey;
    case 'p-256':
      return (await generate('ec', { namedCurve: 'P-256' })).privateKey;
    case 'ed25519':
      return (await generate('ed25519')).privateKey;
    case 'x25519':
      return (await generate('x25519')).privateKey;
    case 'hmac-sha256':
      return using(randomBytes(32), (secret) => createSecretKey(secret));
  }
}

function algorithmOf({ type, asymmetricKeyType, asymmetricKeyDetails: details }: KeyObject): string {
  if (type === 'secret') return 'hmac-sha256';
  if (asymmetricKeyType === 'rsa') return `rsa-${details?.modulusLength}`;
  if (details?.namedCurve === 'prime256v1') return 'p-256';
  return details?.namedCurve ?? asymmetricKeyType ?? 'unknown';
}

interface KeyContent {
  readonly v: 1;
  readonly keyId: string;
  readonly algorithm: string;
  readonly spki: string;
  readonly state: 'active';
  readonly createdAt: string;
  readonly wrapped: string;
}

export function openKeyStore(records: Records, keks: Keks, now: () => Date): KeyStore {
  const place = (keyId: KeyId, { tenant, identity }: KeyName) =>
    ({ kind: 'key', tenant, owner: identity, id: keyId }) as const;

  function read(keyId: KeyId): StoredKey | undefined {
    const content = records.get(place(keyId, parseKeyId(keyId)));
    return content && parse(content);
  }

  function versions(tenant: TenantId, identity: string, use: KeyUse): StoredKey[] {
    return records
      .ofOwner('key', tenant, identity)
      .map(parse)
      .filter(({ name }) => name.use === use)
      .sort((a, b) => b.name.version - a.name.version);
  }

  return {
    versions,
    get: read,
    ofTenant: (tenant) => records.ofTenant('key', tenant).map(parse),
    add({ tenant, identity, use, privateKey }) {
      const version = (versions(tenant, identity, use)[0]?.name.version ?? 0) + 1;
      const name: KeyName = { tenant, identity, use, version };
      const keyId = formatKeyId(name);
      const isSecret = privateKey.type === 'secret';
      const spki = isSecret ? Buffer.alloc(0) : publicHalf(privateKey);
      const algorithm = algorithmOf(privateKey);
      const createdAt = now();
      const facts = factsOf({ keyId, name, algorithm, spki });
      const secret = isSecret ? privateKey.export() : privateKey.export({ format: 'der', type: 'pkcs8' });
      const wrapped = using(secret, () => wrapKey(secret, facts, keks));
      const content: KeyContent = {
        v: 1,
        keyId,
        algorithm,
        spki: spki.toString('base64'),
        state: 'active',
        createdAt: createdAt.toISOString(),
        wrapped: wrapped.toString('base64'),
      };
      records.insert(place(keyId, name), Buffer.from(JSON.stringify(content)));
      return { keyId, name, algorithm, spki, createdAt, wrapped };
    },
    withSecret(key, use) {
      const found = typeof key === 'string' ? read(key) : key;
      if (!found) throw fail('key-denied');
      return unwrapKey(found.wrapped, factsOf(found), keks, use);
    },
  };
}

function factsOf({ keyId, name, algorithm, spki }: Omit<StoredKey, 'createdAt' | 'wrapped'>): KeyFacts {
  return { keyId, use: name.use, owner: `${name.tenant}/${name.identity}`, algorithm, spki };
}

function parse(content: Buffer): StoredKey {
  // The row was opened under the store's own key: its form is what `add` wrote.
  const { v, keyId, algorithm, spki, createdAt, wrapped } = JSON.parse(content.toString('utf8')) as KeyContent;
  if (v !== 1) throw fail('version-unsupported');
  const name = parseKeyId(keyId);
  return {
    keyId: formatKeyId(name),
    name,
    algorithm,
    spki: Buffer.from(spki, 'base64'),
    createdAt: new Date(createdAt),
    wrapped: Buffer.from(wrapped, 'base64'),
  };
}
