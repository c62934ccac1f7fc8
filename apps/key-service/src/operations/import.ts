// Brings in what others made: a person's private key with its certificate (PEM here), or a partner's certificate, which an
// operator vouches for by importing it: it is pinned to its addresses and needs no path.

import { createPrivateKey, type KeyObject } from 'node:crypto';
import { isAddress, normalAddress, type TenantId } from '@sealpost/core';
import { KeyFault } from '@sealpost/service';
import { type Certificate, parseCertificates } from '@sealpost/smime';
import type { OpenStore } from '../open-store.ts';
import { publicHalf } from '../vault/wrap-key.ts';
import { identityOf, meantTenant, tenantOf } from './identities.ts';
import type { Operation } from './operation.ts';

/** A chain longer than this is not one of S/MIME. */
const maxChain = 8;

interface Bundle {
  readonly certificates: readonly Certificate[];
  readonly privateKey: KeyObject | undefined;
}

export const importFile: Operation<'import'> = {
  subject: ({ tenant, address }, store) => ({
    ...(tenant === undefined ? {} : { tenant }),
    ...(address === undefined ? {} : { address: store.auditAddress(address) }),
  }),
  run({ tenant: named, address, file, password }, { store, tenants, note }) {
    const bundle = readPem(file, password);
    const { privateKey } = bundle;
    const leaf = leafOf(bundle);
    const addresses = addressesOf(leaf, address);
    const tenant = privateKey ? tenantOf(addresses[0] ?? '', tenants) : meantTenant(named, tenants);
    if (privateKey && addresses.some((each) => tenantOf(each, tenants) !== tenant))
      throw new KeyFault('import-mismatch');
    note({ tenant, certificate: leaf.fingerprint, address: store.auditAddress(addresses[0] ?? '') });
    store.records.transaction(() => {
      for (const each of addresses) {
        if (privateKey) addOwn(tenant, each, leaf, chainOf(leaf, bundle.certificates), privateKey, store);
        else addPartner(tenant, each, leaf, chainOf(leaf, bundle.certificates), store);
      }
    });
    return {
      imported: addresses.map((each) => identityOf(tenant, each, store.certificates.ofAddress(tenant, each))),
    };
  },
};

function readPem(file: Buffer, password: string | undefined): Bundle {
  let certificates: Certificate[];
  try {
    certificates = parseCertificates(file);
  } catch {
    throw new KeyFault('import-unreadable');
  }
  if (certificates.length === 0) throw new KeyFault('import-unreadable');
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(file.toString('latin1')))
    return { certificates, privateKey: undefined };
  try {
    return { certificates, privateKey: createPrivateKey({ key: file, passphrase: password ?? '' }) };
  } catch {
    throw new KeyFault('import-password-wrong');
  }
}

/** The private key's certificate; without a private key the first that is not a CA's. */
function leafOf({ certificates, privateKey }: Bundle): Certificate {
  const spki = privateKey && publicHalf(privateKey);
  const leaf = certificates.find((each) => (spki ? each.spki.equals(spki) : !each.isCa));
  if (!leaf) throw new KeyFault(privateKey ? 'import-mismatch' : 'import-unreadable');
  return leaf;
}

function addressesOf(leaf: Certificate, wanted: string | undefined): string[] {
  const named = [...new Set(leaf.addresses.filter(isAddress).map(normalAddress))];
  const taken = wanted === undefined ? named : named.filter((each) => each === normalAddress(wanted));
  if (taken.length === 0) throw new KeyFault('import-mismatch');
  return taken;
}

function addOwn(
  tenant: TenantId,
  address: string,
  leaf: Certificate,
  chain: readonly Buffer[],
  privateKey: KeyObject,
  { keys, certificates }: OpenStore,
): void {
  const known = certificates.ofAddress(tenant, address).filter(({ fingerprint }) => fingerprint === leaf.fingerprint);
  if (known.some(({ keyId }) => keyId !== undefined)) return;
  for (const use of usesOf(leaf)) {
    const { keyId } = keys.add({ tenant, identity: address, use, privateKey });
    certificates.add(tenant, {
      fingerprint: leaf.fingerprint,
      certificate: leaf.der,
      chain,
      address,
      keyId,
      pinned: false,
    });
  }
}

function addPartner(
  tenant: TenantId,
  address: string,
  leaf: Certificate,
  chain: readonly Buffer[],
  { certificates }: OpenStore,
): void {
  certificates.add(tenant, { fingerprint: leaf.fingerprint, certificate: leaf.der, chain, address, pinned: true });
}

/** By key usage (RFC 5280 §4.2.1.3); a certificate without one may do both. */
function usesOf({ keyUsage }: Certificate): ('signing' | 'decryption')[] {
  const signs = !keyUsage || keyUsage.has('digitalSignature') || keyUsage.has('contentCommitment');
  const decrypts = !keyUsage || keyUsage.has('keyEncipherment') || keyUsage.has('keyAgreement');
  const uses = [...(signs ? (['signing'] as const) : []), ...(decrypts ? (['decryption'] as const) : [])];
  if (uses.length === 0) throw new KeyFault('import-mismatch');
  return uses;
}

/** Issuers among the given certificates, nearest first. */
function chainOf(leaf: Certificate, given: readonly Certificate[]): Buffer[] {
  const chain: Certificate[] = [];
  for (let at = leaf; chain.length < maxChain && !at.selfIssued; ) {
    const issuer = given.find((each) => each.isCa && each.subjectKey === at.issuerKey && !chain.includes(each));
    if (!issuer) break;
    chain.push(issuer);
    at = issuer;
  }
  return chain.map(({ der }) => der);
}
