// Everything that the decision about a message looks at, gathered in one place, so that `explain` shows exactly what the pipeline
// saw. Certificates are asked for only where they can matter: mail that needs no user key flows while the key service is away.

import {
  type CertSource,
  type Direction,
  type Envelope,
  type Facts,
  type InboundFacts,
  normalAddress,
  type OutboundFacts,
  type TenantId,
  type TenantPolicy,
} from '@sealpost/core';
import type { Certificate } from '@sealpost/smime';
import {
  anchorsOf,
  type Candidate,
  chosen,
  decryptionRecords,
  encryptionCandidates,
  signingCandidates,
} from './certificates.ts';
import type { Classification } from './classify.ts';

export interface FactSources {
  readonly certificates: CertSource;
  readonly tenant: TenantId;
  readonly policy: TenantPolicy;
  readonly direction: Direction;
  readonly envelope: Envelope;
  readonly classification: Classification;
  readonly now: Date;
}

/** The facts, and the certificates that were looked at on the way, by address. */
export interface Gathered {
  readonly facts: Facts;
  readonly candidates: ReadonlyMap<string, readonly Candidate[]>;
}

export function gatherFacts(sources: FactSources): Promise<Gathered> {
  return sources.direction === 'outbound' ? outboundFacts(sources) : inboundFacts(sources);
}

async function outboundFacts(sources: FactSources): Promise<Gathered> {
  const { envelope, classification, certificates, tenant, now } = sources;
  const policy = sources.policy.outbound;
  const { exemptions, malformed } = classification;
  // One that the policy lets pass, where it is of several kinds.
  const exemption = exemptions.find((kind) => policy.exempt.includes(kind)) ?? exemptions[0];
  const base = {
    direction: 'outbound',
    policy,
    nullSender: envelope.mailFrom === '',
    malformed,
    ...(exemption === undefined ? {} : { exemption }),
  } as const;
  const visible = new Set(classification.visibleRecipients.map(normalAddress));
  const recipients = envelope.recipients.map(({ address }, at) => ({
    at,
    visible: visible.has(normalAddress(address)),
  }));
  const candidates = new Map<string, readonly Candidate[]>();
  if (malformed || (exemption && policy.exempt.includes(exemption))) {
    return { facts: { ...base, recipients }, candidates };
  }

  const anchors = anchorsOf(await certificates.trustAnchors(tenant));
  const sender = normalAddress(envelope.headerFrom);
  const signing = signingCandidates(await certificates.certificates(tenant, sender), now);
  candidates.set(sender, signing);
  const signer = chosen(signing)?.fingerprint;
  const known = await Promise.all(
    envelope.recipients.map(async ({ address }, at) => {
      const found = await encryptionFor(sources, anchors, normalAddress(address));
      candidates.set(normalAddress(address), found);
      const record = chosen(found);
      return {
        at,
        visible: visible.has(normalAddress(address)),
        ...(record === undefined ? {} : { certificate: record.fingerprint, keyIsOurs: record.keyId !== undefined }),
      };
    }),
  );
  const facts: OutboundFacts = { ...base, ...(signer === undefined ? {} : { signer }), recipients: known };
  return { facts, candidates };
}

async function encryptionFor(
  { certificates, tenant, now }: FactSources,
  anchors: readonly Certificate[],
  address: string,
): Promise<Candidate[]> {
  return encryptionCandidates(await certificates.certificates(tenant, address), anchors, now);
}

async function inboundFacts(sources: FactSources): Promise<Gathered> {
  const { envelope, classification, certificates, tenant } = sources;
  const { protection } = classification;
  const candidates = new Map<string, readonly Candidate[]>();
  const recipients = await Promise.all(
    envelope.recipients.map(async ({ address }, at) => {
      if (protection !== 'encrypted') return { at, keys: [] };
      const own = decryptionRecords(await certificates.certificates(tenant, normalAddress(address)));
      candidates.set(
        normalAddress(address),
        own.map((record) => ({ record })),
      );
      return { at, keys: own.map(({ fingerprint }) => fingerprint) };
    }),
  );
  const facts: InboundFacts = { direction: 'inbound', policy: sources.policy.inbound, protection, recipients };
  return { facts, candidates };
}
