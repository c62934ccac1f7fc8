// Brings in what others made: a person's private keys with their certificates (PEM or PKCS#12), or a partner's certificate, which an
// operator vouches for by importing it: it is pinned to its addresses and needs no path.

import { createPrivateKey, type KeyObject } from 'node:crypto';
import { isAddress, normalAddress, type TenantId } from '@sealpost/core';
import { KeyFault } from '@sealpost/service';
import { type Certificate, parseCertificates, readPkcs12, SmimeError } from '@sealpost/smime';
import type { OpenStore } from '../open-store.ts';
import { publicHalf } from '../vault/wrap-key.ts';
import { identityOf, meantTenant, tenantOf } from './identities.ts';
import type { Operation } from './operation.ts';

/** A chain longer than this is not one of S/MIME. */
const maxChain = 8;

interface Bundle {
  readonly certificates: readonly Certificate[];
  /** A PKCS#12 file often holds two: one to sign, one to decrypt. */
  readonly privateKeys: readonly KeyObject[];
}

/** One certificate to store, with its key when it is our own. */
interface Part {
  readonly leaf: Certificate;
  readonly privateKey: KeyObject | undefined;
}

export const importFile: Operation<'import'> = {
  subject: ({ tenant, address }, store) => ({
    ...(tenant === undefined ? {} : { tenant }),
    ...(address === undefined ? {} : { address: store.auditAddress(address) }),
  }),
  run({ tenant: named, address, file, password }, { store, tenants, note }) {
    const bundle = readBundle(file, password);
    const parts = partsOf(bundle);
    const own = bundle.privateKeys.length > 0;
    const addresses = [...new Set(parts.flatMap(({ leaf }) => addressesOf(leaf, address)))];
    const tenant = own ? tenantOf(addresses[0] ?? '', tenants) : meantTenant(named, tenants);
    if (own && addresses.some((each) => tenantOf(each, tenants) !== tenant)) throw new KeyFault('import-mismatch');
    const fingerprints = parts.map(({ leaf }) => leaf.fingerprint).join(',');
    note({ tenant, certificate: fingerprints, address: store.auditAddress(addresses[0] ?? '') });
    store.records.transaction(() => {
      for (const { leaf, privateKey } of parts) {
        const chain = chainOf(leaf, bundle.certificates);
        for (const each of addressesOf(leaf, address)) {
          if (privateKey) addOwn(tenant, each, leaf, chain, privateKey, store);
          else addPartner(tenant, each, leaf, chain, store);
        }
      }
    });
    return {
      imported: addresses.map((each) => identityOf(tenant, each, store.certificates.ofAddress(tenant, each))),
    };
  },
};

function readBundle(file: Buffer, password: string | undefined): Bundle {
  if (isPkcs12(file)) return readP12(file, password ?? '');
  let certificates: Certificate[];
  try {
    certificates = parseCertificates(file);
  } catch {
    throw new KeyFault('import-unreadable');
  }
  if (certificates.length === 0) throw new KeyFault('import-unreadable');
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(file.toString('latin1'))) return { certificates, privateKeys: [] };
  try {
    return { certificates, privateKeys: [createPrivateKey({ key: file, passphrase: password ?? '' })] };
  } catch {
    throw new KeyFault('import-password-wrong');
  }
}

/** A PFX begins with its version, INTEGER 3, where a certificate has a SEQUENCE; BER lengths come in every form. */
function isPkcs12(file: Buffer): boolean {
  return file[0] === 0x30 && file.subarray(2, 10).includes(Buffer.of(0x02, 0x01, 0x03));
}

function readP12(file: Buffer, password: string): Bundle {
  try {
    return readPkcs12(file, password);
  } catch (error) {
    const wrong = error instanceof SmimeError && error.code === 'wrong-password';
    throw new KeyFault(wrong ? 'import-password-wrong' : 'import-unreadable');
  }
}

/** The certificate of each private key; without private keys every one that is not a CA's: partners may send several. */
function partsOf({ certificates, privateKeys }: Bundle): Part[] {
  if (privateKeys.length > 0)
    return privateKeys.map((privateKey) => ({ privateKey, leaf: leafOf(certificates, privateKey) }));
  const leaves = certificates.filter(({ isCa }) => !isCa);
  if (leaves.length === 0) throw new KeyFault('import-unreadable');
  return leaves.map((leaf) => ({ leaf, privateKey: undefined }));
}

function leafOf(certificates: readonly Certificate[], privateKey: KeyObject): Certificate {
  const spki = publicHalf(privateKey);
  const leaf = certificates.find((each) => each.spki.equals(spki));
  if (!leaf) throw new KeyFault('import-mismatch');
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
