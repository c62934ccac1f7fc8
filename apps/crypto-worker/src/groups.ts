// The groups of a plan, one after the other: each becomes mail that is stored for the egress, or is set aside with a reason.

import {
  type Claim,
  codeOf,
  type DeliveryId,
  type DeliveryJob,
  deliveryId,
  type ErrorCode,
  errors,
  fail,
  type Group,
} from '@sealpost/core';
import { bounce, bounceId } from './bounce.ts';
import { type Decided, policyOf } from './decide.ts';
import type { OpenedGroup } from './open.ts';
import { type Outgoing, outgoing } from './outgoing.ts';
import { withoutForged } from './own-fields.ts';
import { report } from './report.ts';
import type { Work } from './resolve.ts';
import type { Departing } from './send.ts';
import { publishedMark, type Worker } from './worker.ts';

/** The step tables that groups go through. */
export interface GroupTables {
  protect(work: Work<'protect'>): Promise<Outgoing>;
  open(work: Work<'open'>): Promise<OpenedGroup>;
  send(departing: Departing): Promise<DeliveryJob>;
}

export interface WorkedOff {
  /** Stored and ready to be published. */
  readonly ready: readonly DeliveryJob[];
  /** Published by an earlier try. */
  readonly before: readonly DeliveryId[];
  /** Why groups wait for a person; what should be impossible first. */
  readonly setAside: readonly ErrorCode[];
}

/** Group by group, so that only one group's bytes are in memory at a time. Throws what has to be tried again later. */
export async function workOff(worker: Worker, tables: GroupTables, message: Decided, claim: Claim): Promise<WorkedOff> {
  const ready: DeliveryJob[] = [];
  const before: DeliveryId[] = [];
  const setAside: ErrorCode[] = [];
  for (const group of message.plan.groups) {
    const id = deliveryId(message.job.id, group.action.do === 'bounce' ? bounceId(group) : group.id);
    if (!message.isFirstTry && (await isPublished(worker, id))) {
      before.push(id);
      continue;
    }
    try {
      const mail = await treat(worker, tables, message, group);
      if (mail) ready.push(await tables.send({ message, claim, outgoing: mail }));
    } catch (error) {
      const code = codeOf(error);
      if (mustWait(code)) throw error;
      report(worker, message, group, { action: 'quarantine', code });
      setAside.push(code);
    }
  }
  return { ready, before, setAside: setAside.toSorted((a, b) => urgency(b) - urgency(a)) };
}

/** An earlier try got this far. The stored blob must stay as it is: the queued ticket names its hash. */
async function isPublished(worker: Worker, id: DeliveryId): Promise<boolean> {
  const [marked, queued] = await Promise.all([worker.marks.has(publishedMark(id)), worker.deliveries.has(id)]);
  return marked || queued;
}

/** What a group's recipients get, or undefined for a report that nobody wants. Throws why it is set aside or has to wait. */
async function treat(
  worker: Worker,
  tables: GroupTables,
  message: Decided,
  group: Group,
): Promise<Outgoing | undefined> {
  const { action } = group;
  try {
    switch (action.do) {
      case 'pass':
        return passed(worker, message, group);
      case 'protect': {
        const mail = await tables.protect({ message, group, action });
        report(worker, message, group, { action: 'protect' });
        return mail;
      }
      case 'open': {
        const mail = await tables.open({ message, group, action });
        report(worker, message, group, { action: 'open', ...(mail.result ? { result: mail.result } : {}) });
        return mail;
      }
      case 'bounce':
        report(worker, message, group, { action: 'bounce', code: action.code });
        return bounce(worker, message, group, action.code);
      case 'quarantine':
        throw fail(action.code);
    }
  } catch (error) {
    // An operator's word lets go what would be set aside, as it is; what only has to wait waits.
    if (!message.released || mustWait(codeOf(error))) throw error;
    worker.log.event('message.released', { tenant: message.job.tenant, message: message.job.id, group: group.id });
    return passed(worker, message, group);
  }
}

/** Unchanged, but for fields that only we may write. */
function passed(worker: Worker, message: Decided, group: Group): Outgoing {
  const { job, ticket } = message;
  const isOutbound = ticket.direction === 'outbound';
  const bytes = isOutbound ? message.message : withoutForged(message.message, policyOf(worker, job).inbound);
  report(worker, message, group, { action: 'pass' });
  return outgoing(message, group, bytes);
}

function mustWait(code: ErrorCode): boolean {
  return errors[code].action === 'retry';
}

function urgency(code: ErrorCode): number {
  return errors[code].action === 'alert' ? 1 : 0;
}
