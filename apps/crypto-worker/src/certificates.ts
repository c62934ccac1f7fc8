// Which certificate to use: the newest one that is valid now and that the tenant has a reason to trust, a path to one of its
// trust anchors (RFC 5280 §6) or an operator who pinned it. An expired duplicate never stands in the way of a valid one.

import { type CertificateRecord, normalAddress, parseKeyId } from '@sealpost/core';
import {
  addressesMatch,
  type Certificate,
  mayEncryptTo,
  mayVerifyWith,
  parseCertificate,
  validatePath,
} from '@sealpost/smime';

/** Why a known certificate is not used, for `explain`. */
export interface Candidate {
  readonly record: CertificateRecord;
  readonly certificate?: Certificate;
  /** Absent when it may be used. */
  readonly refusal?: string;
}

/** Each certificate known for a recipient, newest first, and whether mail may be encrypted to it. */
export function encryptionCandidates(
  records: readonly CertificateRecord[],
  anchors: readonly Certificate[],
  at: Date,
): Candidate[] {
  return newestFirst(records).map((record) => {
    const certificate = parsed(record.certificate);
    if (!certificate) return { record, refusal: 'malformed' };
    if (record.opensOnly) return { record, certificate, refusal: 'key-not-active' };
    const usable = mayEncryptTo(certificate, at);
    if (!usable.ok) return { record, certificate, refusal: usable.reason };
    if (record.pinned) return { record, certificate };
    if (!names(certificate, record.address)) return { record, certificate, refusal: 'address' };
    const intermediates = record.chain.flatMap((der) => parsed(der) ?? []);
    const path = validatePath({ leaf: certificate, intermediates, trust: anchors, at, purpose: 'smime' });
    return path.ok ? { record, certificate } : { record, certificate, refusal: `path: ${path.failure.code}` };
  });
}

/** Each certificate of a sender whose signing key is ours, newest first. The key service lists active keys only. */
export function signingCandidates(records: readonly CertificateRecord[], at: Date): Candidate[] {
  return newestFirst(records.filter((record) => isOwn(record, 'signing'))).map((record) => {
    const certificate = parsed(record.certificate);
    if (!certificate) return { record, refusal: 'malformed' };
    const usable = mayVerifyWith(certificate, at);
    return usable.ok ? { record, certificate } : { record, certificate, refusal: usable.reason };
  });
}

/** Certificates of a recipient whose decryption keys are ours, expired ones included: old mail stays readable. */
export function decryptionRecords(records: readonly CertificateRecord[]): CertificateRecord[] {
  return records.filter((record) => isOwn(record, 'decryption'));
}

/** The first candidate that nothing speaks against. */
export function chosen(candidates: readonly Candidate[]): CertificateRecord | undefined {
  return candidates.find(({ refusal }) => refusal === undefined)?.record;
}

export function anchorsOf(ders: readonly Buffer[]): Certificate[] {
  return ders.flatMap((der) => parsed(der) ?? []);
}

/** Without regard to case, as mailboxes are looked up: the owner of a domain knows whether `Bob` is `bob`. */
function names({ addresses }: Certificate, address: string): boolean {
  return addresses.some((each) => addressesMatch(normalAddress(each), normalAddress(address)));
}

function isOwn({ keyId }: CertificateRecord, use: 'signing' | 'decryption'): boolean {
  return keyId !== undefined && parseKeyId(keyId).use === use;
}

function newestFirst(records: readonly CertificateRecord[]): CertificateRecord[] {
  const start = (record: CertificateRecord): number => parsed(record.certificate)?.notBefore.getTime() ?? 0;
  return [...records].sort((a, b) => start(b) - start(a));
}

/** One unreadable certificate must not hold up mail that needs another. */
function parsed(der: Buffer): Certificate | undefined {
  try {
    return parseCertificate(der);
  } catch {
    return undefined;
  }
}
