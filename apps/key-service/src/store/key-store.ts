// Key versions of an open store: added, found, moved from state to state, and used without their secret leaving the call.

import { type KeyObject, randomBytes } from 'node:crypto';
import { fail, formatKeyId, type KeyId, type KeyName, type KeyUse, parseKeyId, type TenantId } from '@sealpost/core';
import { type KeyState, keyStates } from '@sealpost/service';
import type { HsmKeyName } from '../hsm/hsm.ts';
import { using } from '../vault/box.ts';
import type { Keks } from '../vault/keks.ts';
import { type KeyFacts, publicHalf, rewrapKey, unwrapKey, wrapKey } from '../vault/wrap-key.ts';
import { algorithmOf } from './make-key.ts';
import type { Records } from './records.ts';

/** A key version, its secret wrapped. */
export interface StoredKey {
  readonly keyId: KeyId;
  readonly name: KeyName;
  readonly algorithm: string;
  /** DER; empty for an HMAC key. */
  readonly spki: Buffer;
  readonly createdAt: Date;
  readonly state: KeyState;
  /** When it came into its state. */
  readonly since: Date;
  /** Known to be compromised, whatever its state. */
  readonly compromised: boolean;
  /** While its destruction is pending: when that window ends. */
  readonly destroyAt?: Date;
  /** The private key's name in the PKCS#11 token, for one that stays there. */
  readonly token?: HsmKeyName;
  /**
   * The secret as wrap-key.ts made it; empty once it is destroyed. Of a key in a token: a secret beside it, from which comes what
   * must be its own and unknown (open-with-token.ts of the engine).
   */
  readonly wrapped: Buffer;
}

/** A key that is not in the store yet. */
type NewKey = KeyMaterial & {
  readonly tenant: TenantId;
  readonly identity: string;
  readonly use: KeyUse;
  /** `active` unless it waits for its certificate. */
  readonly state?: 'active' | 'pre-active';
};

/** A private key, an HMAC key as a secret KeyObject, or the name and public half of a key that stays in a token. */
type KeyMaterial = { readonly privateKey: KeyObject } | { readonly token: HsmKeyName; readonly publicKey: KeyObject };

/** What changes with a step of a key's life. */
type Moved = Pick<StoredKey, 'state' | 'since' | 'compromised' | 'destroyAt'>;

export interface KeyStore {
  /** Adds as the next version of its identity and use. */
  add(key: NewKey): Promise<StoredKey>;
  get(keyId: KeyId): Promise<StoredKey | undefined>;
  /** Versions of an identity's use, newest first. */
  versions(tenant: TenantId, identity: string, use: KeyUse): Promise<StoredKey[]>;
  /** The one in use: the newest that is active. */
  current(tenant: TenantId, identity: string, use: KeyUse): Promise<StoredKey | undefined>;
  ofTenant(tenant: TenantId): Promise<StoredKey[]>;
  /** Compare-and-swap: undefined when the key's state is not that of `found` any more. A destroyed key loses its secret with it. */
  move(found: StoredKey, to: Moved): Promise<StoredKey | undefined>;
  /**
   * Runs `use` on PKCS#8 DER (or the HMAC key's bytes), which is overwritten when it returns. `key`: as it was read just before.
   * Errors: `key-denied` for a key that its state does not let open anything; `key-in-place` for one in a token.
   */
  withSecret<T>(key: StoredKey, use: (secret: Buffer) => T): T;
  /** As `withSecret`, for a key that waits for its certificate: it signs the request for it, and nothing else. */
  withWaiting<T>(key: StoredKey, use: (secret: Buffer) => T): T;
  /** The secret beside a key in a token; the caller overwrites it. Error: `key-denied` by its state. */
  secretBeside(key: StoredKey): Buffer;
}

interface KeyContent {
  readonly v: 1;
  readonly keyId: string;
  readonly algorithm: string;
  readonly spki: string;
  readonly state: KeyState;
  readonly createdAt: string;
  /** Absent in what the first form wrote. */
  readonly since?: string;
  readonly compromised?: true;
  readonly destroyAt?: string;
  readonly token?: HsmKeyName;
  readonly wrapped: string;
}

export function openKeyStore(records: Records, keks: Keks, now: () => Date): KeyStore {
  async function versions(tenant: TenantId, identity: string, use: KeyUse): Promise<StoredKey[]> {
    const rows = await records.ofOwner('key', tenant, identity);
    return rows
      .map(parse)
      .filter(({ name }) => name.use === use)
      .sort((a, b) => b.name.version - a.name.version);
  }

  return {
    versions,
    current: async (tenant, identity, use) =>
      (await versions(tenant, identity, use)).find(({ state }) => state === 'active'),
    ofTenant: async (tenant) => (await records.ofTenant('key', tenant)).map(parse),
    async get(keyId) {
      const content = await records.get(placeOf(parseKeyId(keyId), keyId));
      return content && parse(content);
    },
    add: ({ tenant, identity, use, state = 'active', ...material }) =>
      records.transaction(async () => {
        const [newest] = await versions(tenant, identity, use);
        const name: KeyName = { tenant, identity, use, version: (newest?.name.version ?? 0) + 1 };
        const keyId = formatKeyId(name);
        const { spki, algorithm, secret, ...token } = partsOf(material);
        const wrapped = using(secret, () => wrapKey(secret, factsOf({ keyId, name, algorithm, spki, ...token }), keks));
        const at = now();
        const life = { createdAt: at, state, since: at, compromised: false };
        const key: StoredKey = { keyId, name, algorithm, spki, ...life, ...token, wrapped };
        await records.insert(placeOf(name, keyId), format(key));
        return key;
      }),
    async move(found, to) {
      const { destroyAt: _, ...kept } = found;
      const wrapped = to.state.startsWith('destroyed') ? Buffer.alloc(0) : found.wrapped;
      let next: StoredKey | undefined;
      const isDone = await records.change(placeOf(found.name, found.keyId), (content) => {
        const stands = parse(content);
        if (stands.state !== found.state || stands.since.getTime() !== found.since.getTime()) return content;
        // What is wrapped anew meanwhile stays so.
        next = { ...kept, ...to, wrapped: wrapped.length === 0 ? wrapped : stands.wrapped };
        return format(next);
      });
      return isDone ? next : undefined;
    },
    withSecret(found, use) {
      if (!keyStates[found.state].opens) throw fail('key-denied');
      if (found.token) throw fail('key-in-place');
      return unwrapKey(found.wrapped, factsOf(found), keks, use);
    },
    withWaiting(key, use) {
      if (key.state !== 'pre-active') throw fail('key-denied');
      if (key.token) throw fail('key-in-place');
      return unwrapKey(key.wrapped, factsOf(key), keks, use);
    },
    secretBeside(key) {
      if (!key.token || !keyStates[key.state].opens) throw fail('key-denied');
      return unwrapKey(key.wrapped, factsOf(key), keks, (secret) => Buffer.from(secret));
    },
  };
}

/** A key's row with its data key under the newest KEK; the same buffer when nothing is to be done. */
export function rewrapped(content: Buffer, keks: Keks): Buffer {
  const key = parse(content);
  if (key.wrapped.length === 0) return content;
  const wrapped = rewrapKey(key.wrapped, factsOf(key), keks);
  return wrapped === key.wrapped ? content : format({ ...key, wrapped });
}

function placeOf({ tenant, identity }: KeyName, keyId: KeyId) {
  return { kind: 'key', tenant, owner: identity, id: keyId } as const;
}

/** Octets of the secret beside a key in a token. */
const secretLength = 32;

interface Parts extends Pick<StoredKey, 'spki' | 'algorithm' | 'token'> {
  /** What is wrapped. */
  readonly secret: Buffer;
}

function partsOf(key: KeyMaterial): Parts {
  if ('token' in key) {
    const { token, publicKey } = key;
    const spki = publicKey.export({ format: 'der', type: 'spki' });
    return { spki, algorithm: algorithmOf(publicKey), secret: randomBytes(secretLength), token };
  }
  const { privateKey } = key;
  const algorithm = algorithmOf(privateKey);
  if (privateKey.type === 'secret') return { spki: Buffer.alloc(0), algorithm, secret: privateKey.export() };
  return { spki: publicHalf(privateKey), algorithm, secret: privateKey.export({ format: 'der', type: 'pkcs8' }) };
}

function factsOf(key: Pick<StoredKey, 'keyId' | 'name' | 'algorithm' | 'spki' | 'token'>): KeyFacts {
  const { keyId, name, algorithm, token } = key;
  // What is wrapped for a key in a token has no public half.
  const spki = token ? Buffer.alloc(0) : key.spki;
  return { keyId, use: name.use, owner: `${name.tenant}/${name.identity}`, algorithm, spki };
}

function format(key: StoredKey): Buffer {
  const content: KeyContent = {
    v: 1,
    keyId: key.keyId,
    algorithm: key.algorithm,
    spki: key.spki.toString('base64'),
    state: key.state,
    createdAt: key.createdAt.toISOString(),
    since: key.since.toISOString(),
    ...(key.compromised ? { compromised: true } : {}),
    ...(key.destroyAt ? { destroyAt: key.destroyAt.toISOString() } : {}),
    ...(key.token ? { token: key.token } : {}),
    wrapped: key.wrapped.toString('base64'),
  };
  return Buffer.from(JSON.stringify(content));
}

function parse(content: Buffer): StoredKey {
  // The row was opened under the store's own key: its form is what `format` wrote.
  const read = JSON.parse(content.toString('utf8')) as KeyContent;
  if (read.v !== 1) throw fail('version-unsupported');
  const name = parseKeyId(read.keyId);
  const createdAt = new Date(read.createdAt);
  return {
    keyId: formatKeyId(name),
    name,
    algorithm: read.algorithm,
    spki: Buffer.from(read.spki, 'base64'),
    createdAt,
    state: read.state,
    since: read.since === undefined ? createdAt : new Date(read.since),
    compromised: read.compromised === true,
    ...(read.destroyAt === undefined ? {} : { destroyAt: new Date(read.destroyAt) }),
    ...(read.token ? { token: read.token } : {}),
    wrapped: Buffer.from(read.wrapped, 'base64'),
  };
}
