// What a try means for each recipient: finished, told about, or tried again. Pure. Every recipient ends in exactly one state; a report
// that fails is never reported on (RFC 3464 §2, RFC 5321 §6.1).

import {
  type DsnAction,
  type EnvelopeRecipient,
  type ErrorCode,
  errors,
  type NotifyWhen,
  retryDelayMs,
  type SettledRecipient,
} from '@sealpost/core';
import type { Delivery, Notice, Settlement, Try } from './delivery.ts';
import { mailOf } from './delivery.ts';

/** RFC 3463 X.1.9: relayed to a server that gives no reports. */
const relayedStatus = '2.1.9';

export interface SettleRules {
  readonly now: Date;
  /** How long mail is tried. */
  readonly maxAgeMs: number;
  /** Waiting mail is told about after this time; 0 for never. */
  readonly delayNoticeMs: number;
  /** 0 ≤ n < 1. */
  readonly random: number;
}

export function settle(delivery: Delivery, rules: SettleRules): Settlement {
  const { ticket, envelope } = mailOf(delivery);
  const age = rules.now.getTime() - ticket.acceptedAt.getTime();
  const ends = [...delivery.tries].flatMap(([at, attempt]) => {
    const recipient = envelope.recipients[at];
    return recipient ? [{ at, recipient, attempt: age < rules.maxAgeMs ? attempt : expired(attempt) }] : [];
  });
  const isReport = envelope.mailFrom === '';
  const settled = ends.flatMap(({ at, attempt }) => outcomeOf(at, attempt, isReport));
  const notices = ends.flatMap(({ at, recipient, attempt }) => noticesOf(at, recipient, attempt, age, rules));
  const retryAt = new Date(rules.now.getTime() + retryDelayMs(delivery.job.attempts, rules.random));
  const waits = ends.flatMap(({ attempt }) => {
    if (attempt.kind === 'parked') return { at: attempt.at, code: attempt.code };
    return attempt.kind === 'deferred' ? { at: retryAt, code: attempt.code } : [];
  });
  const first = waits.sort((one, other) => one.at.getTime() - other.at.getTime())[0];
  const endsAt = ticket.acceptedAt.getTime() + rules.maxAgeMs;
  return {
    settled,
    ends: new Map(ends.map(({ at, attempt }) => [at, attempt])),
    notices: isReport ? [] : notices,
    attempted: [...delivery.tries.values()].some(({ kind }) => kind !== 'parked'),
    // The last try is made when the time is over, not after it.
    next: first && { at: new Date(Math.min(first.at.getTime(), endsAt)), code: first.code },
  };
}

function expired(attempt: Try): Try {
  if (attempt.kind !== 'deferred' && attempt.kind !== 'parked') return attempt;
  return { kind: 'refused', code: 'delivery-expired', route: attempt.route };
}

function outcomeOf(at: number, { kind }: Try, isReport: boolean): SettledRecipient[] {
  if (kind === 'delivered') return [{ at, outcome: 'delivered' }];
  if (kind === 'refused') return [{ at, outcome: isReport ? 'quarantined' : 'bounced' }];
  return [];
}

/** RFC 3461 §4.1: without NOTIFY the sender wants to know of failures and, as we see fit, of delays. */
function noticesOf(at: number, recipient: EnvelopeRecipient, attempt: Try, age: number, rules: SettleRules): Notice[] {
  const wants = (when: NotifyWhen, unasked: boolean) => recipient.notify?.includes(when) ?? unasked;
  const isLate = rules.delayNoticeMs > 0 && age >= rules.delayNoticeMs;
  switch (attempt.kind) {
    case 'refused':
      return wants('FAILURE', true) ? [notice(at, recipient, 'failed', attempt)] : [];
    case 'delivered':
      return attempt.relayed && wants('SUCCESS', false) ? [relayed(at, recipient)] : [];
    case 'deferred':
    case 'parked':
      return isLate && wants('DELAY', true) ? [notice(at, recipient, 'delayed', attempt)] : [];
  }
}

function notice(
  at: number,
  recipient: EnvelopeRecipient,
  action: DsnAction,
  {
    code,
    reply,
  }: { readonly code: ErrorCode; readonly reply?: { readonly code: number; readonly status: string } | undefined },
): Notice {
  const { smtp, text } = errors[code];
  return {
    at,
    dsn: { recipient, action, status: reply?.status ?? smtp[1], text, ...(reply ? { replyCode: reply.code } : {}) },
  };
}

function relayed(at: number, recipient: EnvelopeRecipient): Notice {
  const text = 'The message was handed to a mail system that gives no delivery reports';
  return { at, dsn: { recipient, action: 'relayed', status: relayedStatus, text } };
}
