// Takes a person's key into use that was made in the PKCS#11 token and stays there: its name in the token, and its certificate. One
// that has none yet waits for it, and signs the request for it (keys-csr.ts).

import { createPublicKey } from 'node:crypto';
import { normalAddress, type TenantId } from '@sealpost/core';
import { KeyFault } from '@sealpost/service';
import { type Certificate, parseCertificates } from '@sealpost/smime';
import { actorOf } from '../caller.ts';
import type { Hsm, HsmKey, HsmKeyName } from '../hsm/hsm.ts';
import { type Actor, announce } from '../lifecycle/move-key.ts';
import type { OpenStore } from '../open-store.ts';
import { identitiesNamed, tenantOf } from './identities.ts';
import { addressesOf, chainOf, usesOf } from './import.ts';
import type { Operation } from './operation.ts';

export const keysAddToken: Operation<'keys-add-token'> = {
  subject: ({ address }, store) => (address === undefined ? {} : { address: store.auditAddress(address) }),
  async run({ label, id, file, address, use }, { store, tenants, note, caller }) {
    if (!store.hsm) throw new KeyFault('hsm-unavailable');
    const name: HsmKeyName = { ...(label === undefined ? {} : { label }), ...(id === undefined ? {} : { id }) };
    const found = await usableKey(name, store.hsm);
    if (file === undefined) {
      if (address === undefined) throw new KeyFault('request-malformed');
      const [identity, tenant] = [normalAddress(address), tenantOf(address, tenants)];
      note({ tenant });
      const waiting = await addWaiting({ tenant, identity, found, uses: use ? [use] : uses }, store, actorOf(caller));
      return { imported: [], waiting };
    }
    const certificates = read(file);
    const leaf = certificates.find(({ spki }) => found.publicKey?.equals(spki));
    if (!leaf) throw new KeyFault('import-mismatch');
    const token = nameOf(found);
    const entries = addressesOf(leaf, address).map((each) => ({ address: each, tenant: tenantOf(each, tenants) }));
    const [first] = entries;
    if (!first) throw new KeyFault('import-mismatch');
    note({
      tenant: first.tenant,
      address: store.auditAddress(first.address),
      certificate: leaf.fingerprint,
      count: entries.length,
    });
    await store.records.transaction(async () => {
      for (const entry of entries) await add({ ...entry, token, leaf, chain: chainOf(leaf, certificates) }, store);
    });
    return { imported: await identitiesNamed(entries, store), waiting: [] };
  },
};

const uses = ['signing', 'decryption'] as const;

interface WaitingKey {
  readonly tenant: TenantId;
  readonly identity: string;
  readonly found: HsmKey;
  readonly uses: readonly (typeof uses)[number][];
}

/** Versions that wait for their certificate. Fault: `exists` when this key is one of theirs already. */
async function addWaiting(
  { tenant, identity, found, uses: wanted }: WaitingKey,
  store: OpenStore,
  actor: Actor,
): Promise<string[]> {
  const spki = found.publicKey ?? Buffer.alloc(0);
  const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  return await store.records.transaction(async () => {
    const added: string[] = [];
    for (const use of wanted) {
      const known = await store.keys.versions(tenant, identity, use);
      if (known.some((each) => each.spki.equals(spki))) throw new KeyFault('exists');
      const key = await store.keys.add({ tenant, identity, use, token: nameOf(found), publicKey, state: 'pre-active' });
      await announce(key, undefined, store, actor);
      added.push(key.keyId);
    }
    return added;
  });
}

/** By both from now on: a label may be given again, an id too. */
function nameOf({ label, id }: HsmKey): HsmKeyName {
  return { label, id };
}

/** Faults: `hsm-extractable`, `import-mismatch` for an AES key, those of the token. */
async function usableKey(name: HsmKeyName, hsm: Hsm): Promise<HsmKey> {
  const found = await hsm.find(name);
  if (!found.publicKey) throw new KeyFault('import-mismatch');
  if (found.extractable) throw new KeyFault('hsm-extractable');
  return found;
}

interface Entry {
  readonly tenant: TenantId;
  readonly address: string;
  readonly token: HsmKeyName;
  readonly leaf: Certificate;
  readonly chain: readonly Buffer[];
}

async function add({ tenant, address, token, leaf, chain }: Entry, { keys, certificates }: OpenStore): Promise<void> {
  const { fingerprint, der: certificate, spki } = leaf;
  const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  const known = (await certificates.ofAddress(tenant, address)).filter((each) => each.fingerprint === fingerprint);
  if (known.some(({ keyId }) => keyId !== undefined)) throw new KeyFault('exists');
  for (const use of usesOf(leaf)) {
    const { keyId } = await keys.add({ tenant, identity: address, use, token, publicKey });
    await certificates.add(tenant, { fingerprint, certificate, chain, address, keyId, pinned: false });
  }
}

function read(file: Buffer): Certificate[] {
  try {
    return parseCertificates(file);
  } catch {
    throw new KeyFault('import-unreadable');
  }
}
