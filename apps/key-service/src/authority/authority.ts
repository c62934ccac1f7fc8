// A certification authority of the store: the installation's own for its services, and one for each tenant's people. Its key is
// used in place and never leased.

import type { KeyObject } from 'node:crypto';
import { fail, type TenantId, tenantId } from '@sealpost/core';
import {
  type Certificate,
  certificateFromDer,
  type IssueRequest,
  importPublicKey,
  issueCertificate,
} from '@sealpost/smime';
import type { CertificateStore } from '../store/certificate-store.ts';
import type { KeyStore } from '../store/key-store.ts';
import { makePrivateKey, type NewAlgorithm } from '../store/make-key.ts';
import type { Records } from '../store/records.ts';
import { privateKeyOf } from '../vault/wrap-key.ts';

/** Owner of what belongs to no tenant; configurations cannot name a tenant like this. */
export const installationTenant: TenantId = tenantId('installation');

/** Certificates begin a little in the past: clocks of one installation differ by less than this. */
const clockSkewMs = 5 * 60_000;
const dayMs = 86_400_000;
/** Ten years: longer than any certificate below it is used. */
const authorityLifeMs = 3_650 * dayMs;

export interface Authority {
  readonly certificate: Certificate;
  issue(request: Omit<IssueRequest, 'issuer' | 'notBefore' | 'notAfter'>, lifeMs: number): Promise<Certificate>;
}

export interface AuthorityName {
  readonly tenant: TenantId;
  readonly identity: string;
  readonly commonName: string;
  readonly organization: string;
  readonly algorithm: NewAlgorithm;
}

export interface AuthorityStores {
  readonly keys: KeyStore;
  readonly certificates: CertificateStore;
  readonly records: Records;
  now(): Date;
}

/** The authority with this name, if the store has it. */
export async function findAuthority(
  { tenant, identity }: AuthorityName,
  stores: AuthorityStores,
): Promise<Authority | undefined> {
  const [record] = await stores.certificates.ofAddress(tenant, identity);
  const keyId = record?.keyId;
  if (!record || !keyId) return undefined;
  const certificate = certificateFromDer(record.certificate);
  return {
    certificate,
    async issue(request, lifeMs) {
      const key = await stores.keys.get(keyId);
      if (!key) throw fail('key-denied');
      return stores.keys.withSecret(key, (pkcs8) => {
        const now = stores.now().getTime();
        const notAfter = new Date(Math.min(now + lifeMs, certificate.notAfter.getTime()));
        const issuer = { certificate, privateKey: privateKeyOf(pkcs8) };
        return issueCertificate({ ...request, issuer, notBefore: new Date(now - clockSkewMs), notAfter });
      });
    },
  };
}

/** The authority with this name, made where the store has none. */
export async function ensureAuthority(name: AuthorityName, stores: AuthorityStores): Promise<Authority> {
  const found = await findAuthority(name, stores);
  if (found) return found;
  const privateKey = await makePrivateKey(name.algorithm);
  const made = await stores.records.transaction(async () => {
    // Asked again, because two may both have been making keys.
    if (!(await findAuthority(name, stores))) await addAuthority(name, privateKey, stores);
    return await findAuthority(name, stores);
  });
  if (!made) throw new Error('an authority was not stored');
  return made;
}

async function addAuthority(
  name: AuthorityName,
  privateKey: KeyObject,
  { keys, certificates, now }: AuthorityStores,
): Promise<void> {
  const { tenant, identity } = name;
  const { keyId, spki } = await keys.add({ tenant, identity, use: 'ca', privateKey });
  const at = now().getTime();
  const certificate = issueCertificate({
    subject: { commonName: name.commonName, organization: name.organization },
    publicKey: importPublicKey(spki),
    notBefore: new Date(at - clockSkewMs),
    notAfter: new Date(at + authorityLifeMs),
    profile: 'ca',
    pathLength: 0,
    issuer: { certificate: 'self', privateKey },
  });
  await certificates.add(tenant, {
    fingerprint: certificate.fingerprint,
    certificate: certificate.der,
    chain: [],
    address: identity,
    keyId,
    pinned: false,
  });
}
