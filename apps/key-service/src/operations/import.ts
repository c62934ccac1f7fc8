// Brings in what others made: people's private keys with their certificates, or partners' certificates, which an operator
// vouches for by importing them: each is pinned to its addresses and needs no path.

import { isAddress, type KeyUse, normalAddress, type TenantId } from '@sealpost/core';
import { KeyFault } from '@sealpost/service';
import type { Certificate } from '@sealpost/smime';
import { actorOf } from '../caller.ts';
import { type Actor, moveKey } from '../lifecycle/move-key.ts';
import type { OpenStore } from '../open-store.ts';
import { identitiesNamed, meantTenant, tenantOf } from './identities.ts';
import type { Operation } from './operation.ts';
import { type ImportedLeaf, readImport } from './read-import.ts';

/** A chain longer than this is not one of S/MIME. */
const maxChain = 8;

/** One certificate under one address. */
interface Entry extends ImportedLeaf {
  readonly tenant: TenantId;
  readonly address: string;
  readonly chain: readonly Buffer[];
}

export const importFile: Operation<'import'> = {
  subject: ({ tenant, address }, store) => ({
    ...(tenant === undefined ? {} : { tenant }),
    ...(address === undefined ? {} : { address: store.auditAddress(address) }),
  }),
  async run({ tenant: named, address, file, password }, { store, tenants, note, caller }) {
    const { leaves, certificates } = readImport(file, password);
    const entries = leaves.flatMap((leaf): Entry[] => {
      const chain = chainOf(leaf.certificate, certificates);
      return addressesOf(leaf.certificate, address).map((each) => {
        const tenant = leaf.privateKey ? tenantOf(each, tenants) : meantTenant(named, tenants);
        if (named !== undefined && tenant !== named) throw new KeyFault('address-not-ours');
        return { ...leaf, tenant, address: each, chain };
      });
    });
    const [first] = entries;
    if (!first) throw new KeyFault('import-mismatch');
    note({
      tenant: first.tenant,
      address: store.auditAddress(first.address),
      certificate: first.certificate.fingerprint,
      count: entries.length,
    });
    await store.records.transaction(async () => {
      for (const entry of entries) if (!(await activate(entry, store, actorOf(caller)))) await add(entry, store);
    });
    // One answer for an address that several certificates name.
    const distinct = new Map(entries.map((entry) => [`${entry.tenant} ${entry.address}`, entry]));
    return { imported: await identitiesNamed([...distinct.values()], store) };
  },
};

/** Those in the certificate, or of them the one that is wanted; none where it names another. */
export function addressesOf({ addresses }: Certificate, wanted: string | undefined): string[] {
  const named = [...new Set(addresses.filter(isAddress).map(normalAddress))];
  return wanted === undefined ? named : named.filter((each) => each === normalAddress(wanted));
}

/** A certificate for keys of ours that wait for one: they are in use from now on. False where none does. */
async function activate(
  { tenant, address, certificate, chain, privateKey }: Entry,
  store: OpenStore,
  actor: Actor,
): Promise<boolean> {
  if (privateKey) return false;
  const { fingerprint, der, spki } = certificate;
  const versions = await Promise.all(usesOf(certificate).map((use) => store.keys.versions(tenant, address, use)));
  const waiting = versions.flat().filter((key) => key.state === 'pre-active' && key.spki.equals(spki));
  for (const key of waiting) {
    await store.certificates.add(tenant, {
      fingerprint,
      certificate: der,
      chain,
      address,
      keyId: key.keyId,
      pinned: false,
    });
    await moveKey(key, 'activate', store, actor);
  }
  return waiting.length > 0;
}

async function add(
  { tenant, address, certificate, chain, privateKey }: Entry,
  { keys, certificates }: OpenStore,
): Promise<void> {
  const record = { fingerprint: certificate.fingerprint, certificate: certificate.der, chain, address };
  if (!privateKey) {
    await certificates.add(tenant, { ...record, pinned: true });
    return;
  }
  const known = (await certificates.ofAddress(tenant, address)).filter(
    ({ fingerprint }) => fingerprint === record.fingerprint,
  );
  if (known.some(({ keyId }) => keyId !== undefined)) return;
  for (const use of usesOf(certificate)) {
    const { keyId } = await keys.add({ tenant, identity: address, use, privateKey });
    await certificates.add(tenant, { ...record, keyId, pinned: false });
  }
}

/** By key usage (RFC 5280 §4.2.1.3); a certificate without one may do both. */
export function usesOf({ keyUsage }: Certificate): KeyUse[] {
  const signs = !keyUsage || keyUsage.has('digitalSignature') || keyUsage.has('contentCommitment');
  const decrypts = !keyUsage || keyUsage.has('keyEncipherment') || keyUsage.has('keyAgreement');
  if (!signs && !decrypts) throw new KeyFault('import-mismatch');
  return [...(signs ? (['signing'] as const) : []), ...(decrypts ? (['decryption'] as const) : [])];
}

/** Issuers among the given certificates, nearest first. */
export function chainOf(leaf: Certificate, given: readonly Certificate[]): Buffer[] {
  const chain: Certificate[] = [];
  for (let at = leaf; chain.length < maxChain && !at.selfIssued; ) {
    const issuer = given.find((each) => each.isCa && each.subjectKey === at.issuerKey && !chain.includes(each));
    if (!issuer) break;
    chain.push(issuer);
    at = issuer;
  }
  return chain.map(({ der }) => der);
}
