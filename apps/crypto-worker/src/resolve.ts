// Step `resolve`: the plan names certificates by fingerprint; here they become certificates and the ids of their keys. The plan
// stands: a certificate that is gone by now sets the group aside, it is never replaced by another nor left out.

import { type CertificateRecord, fail, type Group, type GroupAction, normalAddress, parseKeyId } from '@sealpost/core';
import { type Certificate, parseCertificate } from '@sealpost/smime';
import { anchorsOf } from './certificates.ts';
import type { Decided } from './decide.ts';
import type { OwnCertificate } from './key-port.ts';
import type { Worker } from './worker.ts';

/** One group of a message on its way through the steps. */
export interface Work<Do extends GroupAction['do'] = GroupAction['do']> {
  readonly message: Decided;
  readonly group: Group;
  readonly action: Extract<GroupAction, { readonly do: Do }>;
}

interface Signer extends OwnCertificate {
  readonly chain: readonly Certificate[];
}

export interface ResolvedProtection extends Work<'protect'> {
  readonly signer?: Signer;
  readonly encryptTo: readonly Certificate[];
}

export interface ResolvedOpening extends Work<'open'> {
  readonly own: readonly OwnCertificate[];
  readonly trust: readonly Certificate[];
  /** Known from elsewhere: a chain that is not in the mail. */
  readonly intermediates: readonly Certificate[];
}

/** Errors: `protection-failed`, and what the key service throws. */
export async function resolveProtection(worker: Worker, work: Work<'protect'>): Promise<ResolvedProtection> {
  const { action, message } = work;
  const known = await recordsOfGroup(worker, work);
  const encryptTo = action.encryptTo.map((fingerprint) => {
    const record = known.find((each) => each.fingerprint === fingerprint);
    if (!record) throw fail('protection-failed');
    return parseCertificate(record.certificate);
  });
  if (action.signWith === undefined) return { ...work, encryptTo };
  const own = await worker.keys.certificates(message.job.tenant, normalAddress(message.envelope.headerFrom));
  const signer = own.find((record) => record.fingerprint === action.signWith && hasKeyFor('signing', record));
  if (!signer?.keyId) throw fail('protection-failed');
  return {
    ...work,
    encryptTo,
    signer: {
      certificate: parseCertificate(signer.certificate),
      keyId: signer.keyId,
      chain: signer.chain.map((der) => parseCertificate(der)),
    },
  };
}

export async function resolveOpening(worker: Worker, work: Work<'open'>): Promise<ResolvedOpening> {
  const { action, message } = work;
  const { tenant } = message.job;
  const records = action.openWith.length === 0 ? [] : await recordsOfGroup(worker, work);
  const own = records.flatMap((record) => {
    const isPlanned = action.openWith.includes(record.fingerprint) && hasKeyFor('decryption', record);
    return isPlanned && record.keyId
      ? [{ certificate: parseCertificate(record.certificate), keyId: record.keyId }]
      : [];
  });
  return {
    ...work,
    own,
    trust: anchorsOf(await worker.keys.trustAnchors(tenant)),
    intermediates: await knownIssuers(worker, message),
  };
}

/** Certificates of the sender that we know already. Help only, so an outage of the key service does not hold up the mail. */
async function knownIssuers(worker: Worker, { job, classification }: Decided): Promise<Certificate[]> {
  const [from] = classification.from;
  if (from === undefined) return [];
  try {
    const records = await worker.keys.certificates(job.tenant, normalAddress(from));
    return anchorsOf(records.flatMap(({ certificate, chain }) => [certificate, ...chain]));
  } catch {
    return [];
  }
}

async function recordsOfGroup(
  worker: Worker,
  { message, group }: Pick<Work, 'message' | 'group'>,
): Promise<CertificateRecord[]> {
  const addresses = group.recipients.flatMap((at) => message.envelope.recipients[at]?.address ?? []);
  const found = await Promise.all(
    addresses.map((address) => worker.keys.certificates(message.job.tenant, normalAddress(address))),
  );
  return found.flat();
}

function hasKeyFor(use: 'signing' | 'decryption', { keyId }: CertificateRecord): boolean {
  return keyId !== undefined && parseKeyId(keyId).use === use;
}
