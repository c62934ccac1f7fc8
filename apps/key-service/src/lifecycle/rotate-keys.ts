// The next version of an identity's keys. What the tenant's own CA certified is renewed by it at once; for a certificate from
// elsewhere the new key waits, pre-active, until its certificate is imported. The version before stays active for the overlap.

import { type KeyUse, parseKeyId } from '@sealpost/core';
import { KeyFault } from '@sealpost/service';
import { type Certificate, certificateFromDer, importPublicKey } from '@sealpost/smime';
import type { Authority } from '../authority/authority.ts';
import { identityLifeMs, profileOf, tenantAuthority } from '../authority/tenant-authority.ts';
import type { OpenStore } from '../open-store.ts';
import type { StoredKey } from '../store/key-store.ts';
import { makePrivateKey, type NewAlgorithm } from '../store/make-key.ts';
import { type Actor, announce } from './move-key.ts';

/**
 * The new versions. `current`: the version in use. One certificate for both uses is renewed as one, so its other key is replaced
 * with it. A key that waits for its certificate already is given again.
 */
export async function rotateKey(current: StoredKey, store: OpenStore, actor: Actor): Promise<StoredKey[]> {
  if (current.token) throw new KeyFault('key-in-token');
  const { tenant, identity } = current.name;
  const holders = (await twinsOf(current, store)).filter(({ state }) => state === 'active');
  const record = await certificateOf(current, store);
  const ca = await tenantAuthority(tenant, store);
  const isOurs = record !== undefined && ca !== undefined && record.issuer?.equals(ca.certificate.der) === true;
  const waits = record !== undefined && !isOurs;
  const waiting = async (): Promise<StoredKey[] | undefined> => {
    const newest: StoredKey[] = [];
    for (const { name } of holders) newest.push(...(await store.keys.versions(tenant, identity, name.use)).slice(0, 1));
    return waits && newest.every(({ state }) => state === 'pre-active') ? newest : undefined;
  };
  const known = await waiting();
  if (known) return known;
  const privateKey = await makePrivateKey(current.algorithm as NewAlgorithm);
  return await store.records.transaction(async () => {
    // Two requests may both have been making keys.
    if ((await store.keys.current(tenant, identity, current.name.use))?.keyId !== current.keyId)
      throw new KeyFault('key-state');
    const meanwhile = await waiting();
    if (meanwhile) return meanwhile;
    const made: StoredKey[] = [];
    for (const { name } of holders) {
      const state = waits ? 'pre-active' : 'active';
      const key = await store.keys.add({ tenant, identity, use: name.use, privateKey, state });
      await announce(key, undefined, store, actor);
      made.push(key);
    }
    if (record && ca && isOurs) await renew(record.certificate, ca, made, store);
    return made;
  });
}

async function renew(before: Certificate, ca: Authority, made: readonly StoredKey[], store: OpenStore): Promise<void> {
  const [first] = made;
  if (!first) return;
  const { tenant, identity } = first.name;
  const certificate = await ca.issue(
    {
      subject: { of: before },
      addresses: [identity],
      publicKey: importPublicKey(first.spki),
      profile: profileOf(made.map(({ name }) => name.use)),
    },
    identityLifeMs,
  );
  const { fingerprint, der } = certificate;
  const common = { fingerprint, certificate: der, chain: [ca.certificate.der], address: identity, pinned: false };
  for (const { keyId } of made) await store.certificates.add(tenant, { ...common, keyId });
}

/** Key versions of the same identity that are the same key: one certificate for both uses. */
export async function twinsOf(
  { name: { tenant, identity }, keyId, spki }: StoredKey,
  { keys }: Pick<OpenStore, 'keys'>,
): Promise<StoredKey[]> {
  const uses: readonly KeyUse[] = ['signing', 'decryption', 'spool', 'mac'];
  const all: StoredKey[] = [];
  for (const use of uses) all.push(...(await keys.versions(tenant, identity, use)));
  return all.filter((each) => each.keyId === keyId || (spki.length > 0 && each.spki.equals(spki)));
}

interface Certified {
  readonly certificate: Certificate;
  /** DER of its issuer, where known. */
  readonly issuer: Buffer | undefined;
}

/** The newest certificate of a key, for people's keys. */
export async function certificateOf(
  { keyId }: StoredKey,
  { certificates }: Pick<OpenStore, 'certificates'>,
): Promise<Certified | undefined> {
  const { tenant, identity } = parseKeyId(keyId);
  const record = (await certificates.ofAddress(tenant, identity)).find((each) => each.keyId === keyId);
  return record && { certificate: certificateFromDer(record.certificate), issuer: record.chain[0] };
}
