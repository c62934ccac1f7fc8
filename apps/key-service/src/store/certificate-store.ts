// Certificates of an open store: those of our own identities with the key that each belongs to, partners' pinned ones, the
// authorities' own, and each tenant's trusted roots.

import {
  type CertificateRecord,
  type Fingerprint,
  fail,
  type KeyId,
  normalAddress,
  type TenantId,
} from '@sealpost/core';
import { certificateFromDer } from '@sealpost/smime';
import type { Records } from './records.ts';

export interface CertificateStore {
  /** Keeps a certificate under an address (or the name of an authority); the same one again changes nothing. */
  add(tenant: TenantId, record: CertificateRecord): Promise<void>;
  /** Newest notBefore first. */
  ofAddress(tenant: TenantId, address: string): Promise<CertificateRecord[]>;
  ofTenant(tenant: TenantId): Promise<CertificateRecord[]>;
  addAnchor(tenant: TenantId, certificate: Buffer, fingerprint: Fingerprint): Promise<void>;
  /** DER. */
  anchors(tenant: TenantId): Promise<Buffer[]>;
}

interface CertificateContent {
  readonly v: 1;
  readonly address: string;
  readonly certificate: string;
  readonly chain: readonly string[];
  readonly keyId?: string;
  readonly pinned: boolean;
}

export function openCertificateStore(records: Records): CertificateStore {
  return {
    async add(tenant, record) {
      const owner = normalAddress(record.address);
      const content: CertificateContent = {
        v: 1,
        address: owner,
        certificate: record.certificate.toString('base64'),
        chain: record.chain.map((der) => der.toString('base64')),
        ...(record.keyId === undefined ? {} : { keyId: record.keyId }),
        pinned: record.pinned,
      };
      const id = `${record.fingerprint} ${record.keyId ?? 'partner'}`;
      await records.replace({ kind: 'certificate', tenant, owner, id }, Buffer.from(JSON.stringify(content)));
    },
    ofAddress: async (tenant, address) =>
      newestFirst((await records.ofOwner('certificate', tenant, normalAddress(address))).map(parse)),
    ofTenant: async (tenant) => newestFirst((await records.ofTenant('certificate', tenant)).map(parse)),
    addAnchor: (tenant, certificate, fingerprint) =>
      records.replace({ kind: 'anchor', tenant, owner: '', id: fingerprint }, certificate),
    anchors: (tenant) => records.ofTenant('anchor', tenant),
  };
}

function newestFirst(records: CertificateRecord[]): CertificateRecord[] {
  const since = ({ certificate }: CertificateRecord): number => certificateFromDer(certificate).notBefore.getTime();
  return records.sort((a, b) => since(b) - since(a));
}

function parse(content: Buffer): CertificateRecord {
  const { v, address, certificate, chain, keyId, pinned } = JSON.parse(content.toString('utf8')) as CertificateContent;
  if (v !== 1) throw fail('version-unsupported');
  const der = Buffer.from(certificate, 'base64');
  return {
    fingerprint: certificateFromDer(der).fingerprint,
    certificate: der,
    chain: chain.map((issuer) => Buffer.from(issuer, 'base64')),
    address,
    ...(keyId === undefined ? {} : { keyId: keyId as KeyId }),
    pinned,
  };
}
