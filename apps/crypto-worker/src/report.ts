// What the worker tells about its decisions: one event and one count per group. Never an address, never content.

import type { ErrorCode, EventName, Group } from '@sealpost/core';
import type { Decided } from './decide.ts';
import type { Result, ResultWord } from './result-header.ts';
import type { Worker } from './worker.ts';

export interface Done {
  readonly action: 'pass' | 'protect' | 'open' | 'bounce' | 'quarantine';
  readonly code?: ErrorCode;
  readonly result?: Result;
}

/** The queue itself tells of what it quarantines. */
const events: Partial<Record<Done['action'], EventName>> = {
  pass: 'message.passed',
  protect: 'message.protected',
  open: 'message.opened',
  bounce: 'message.bounced',
};

export function report(worker: Worker, { job, ticket }: Decided, group: Group, { action, code, result }: Done): void {
  const event = events[action];
  const { direction, tenant } = ticket;
  if (event) {
    worker.log.event(event, {
      tenant,
      message: job.id,
      group: group.id,
      direction,
      count: group.recipients.length,
      ...(code === undefined ? {} : { code }),
      ...(result === undefined ? {} : { reason: result.word }),
    });
  }
  worker.telemetry.count('sealpost_messages_processed_total', { direction, tenant, action });
  if (action === 'bounce' && code) worker.telemetry.count('sealpost_bounces_total', { stage: 'crypto', code });
  if (result) worker.telemetry.count('sealpost_signatures_checked_total', { tenant, verdict: verdictOf(result.word) });
}

/** A new decision, once per message. */
export function reportDecision(worker: Worker, { job, ticket, plan, isFirstTry }: Decided): void {
  if (!isFirstTry) return;
  const { direction, tenant } = ticket;
  worker.log.event('message.decided', { tenant, message: job.id, direction, count: plan.groups.length });
}

function verdictOf(word: ResultWord): 'verified' | 'unverified' | 'unsigned' {
  if (word === 'verified') return 'verified';
  return word === 'unverified' ? 'unverified' : 'unsigned';
}
