// Step `open`: decrypt with this group's own keys, verify, and say what was found. Mail that cannot be opened goes on unchanged with
// the result header: its reader may hold a key of their own, and a bounce would be a decryption oracle.

import type { InboundPolicy } from '@sealpost/core';
import { open } from '@sealpost/smime';
import { policyOf } from './decide.ts';
import { withFooter } from './footer.ts';
import { ownKeys } from './key-port.ts';
import { type Outgoing, outgoing } from './outgoing.ts';
import { withFieldOnTop, withoutForged, withSubjectTag } from './own-fields.ts';
import type { ResolvedOpening } from './resolve.ts';
import { type Result, resultHeader, wordOf } from './result-header.ts';
import type { Worker } from './worker.ts';

export interface OpenedGroup extends Outgoing {
  /** Absent where the engine found no S/MIME after all. */
  readonly result?: Result;
}

/** Errors: those of a lease. */
export async function openGroup(worker: Worker, resolved: ResolvedOpening): Promise<OpenedGroup> {
  const { message, group } = resolved;
  const policy = policyOf(worker, message.job).inbound;
  const genuine = withoutForged(message.message, policy);
  const opened = await openWith(worker, resolved, genuine, policy);
  if (!opened.result) return outgoing(message, group, genuine);
  const { result } = opened;
  // Again: what was inside may bring fields of its own to the top.
  const clean = withoutForged(opened.message, policy);
  const text = opened.changed ? footerText(result, policy) : '';
  const footed = text === '' ? clean : (withFooter(clean, text) ?? clean);
  const tagged = withSubjectTag(footed, subjectTag(result, policy));
  return { ...outgoing(message, group, withFieldOnTop(tagged, resultHeader(result))), result };
}

interface Content {
  readonly message: Buffer;
  /** A signature or encryption was taken off, so the content is ours to add to. */
  readonly changed: boolean;
  readonly result?: Result;
}

async function openWith(
  worker: Worker,
  { message, own, trust, intermediates }: ResolvedOpening,
  genuine: Buffer,
  policy: InboundPolicy,
): Promise<Content> {
  const unchanged = { message: genuine, changed: false };
  const opened = await open(genuine, {
    keys: ownKeys(own, worker.keys, message),
    recipients: own.map(({ certificate }) => certificate),
    trust,
    intermediates,
    // When it came, so that a retry days later finds the same.
    at: message.ticket.acceptedAt,
    strip: policy.clearSigned === 'strip' ? 'all' : 'decrypted',
  });
  switch (opened.kind) {
    case 'plain':
      return unchanged;
    case 'opened':
      return {
        message: opened.message,
        changed: opened.changed,
        result: { word: wordOf(opened.verdict), verdict: opened.verdict },
      };
    case 'undecryptable':
    case 'broken':
      return { ...unchanged, result: { word: opened.kind, verdict: opened.verdict } };
  }
}

function footerText({ word }: Result, { footer }: InboundPolicy): string {
  switch (word) {
    case 'verified':
    case 'unverified':
    case 'unsigned':
      return footer[word];
    default:
      return '';
  }
}

function subjectTag({ verdict }: Result, { subjectTag: tags }: InboundPolicy): string {
  return [verdict.encrypted ? tags.decrypted : '', verdict.verified ? tags.verified : '']
    .filter((tag) => tag !== '')
    .join(' ');
}
