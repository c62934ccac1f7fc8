// What the worker does with one job: a table of named steps for the message, and one for each group of its plan. A job ends only
// when every group is published or set aside; until then a retry starts over with the same plan.

import {
  type Claim,
  type CryptoJob,
  codeOf,
  type DeliveryJob,
  deliveryId,
  type ErrorCode,
  errors,
  fail,
  type Group,
  type Handler,
  type Outcome,
} from '@sealpost/core';
import { steps } from '@sealpost/service';
import { bounce } from './bounce.ts';
import { classify } from './classify.ts';
import { type Decided, decideOnce, policyOf } from './decide.ts';
import { load } from './load.ts';
import { openGroup } from './open.ts';
import { type Outgoing, outgoing } from './outgoing.ts';
import { withoutForged } from './own-fields.ts';
import { protectGroup } from './protect.ts';
import { report, reportDecision } from './report.ts';
import { resolveOpening, resolveProtection, type Work } from './resolve.ts';
import { type Departing, seal, store } from './send.ts';
import { planBlob, publishedMark, type Worker } from './worker.ts';

/** The worker's handler for the crypto stage. */
export function cryptoHandler(worker: Worker): Handler<CryptoJob> {
  const tables = stepTables(worker);
  return (job, claim) => {
    const attributes = { tenant: job.tenant, message: job.id, attempt: claim.diedBefore };
    return worker.telemetry.span(
      'worker.process',
      attributes,
      async (set) => {
        const outcome = await processJob(worker, tables, job, claim);
        set({ outcome: outcome.kind, ...(outcome.kind === 'done' ? {} : { code: outcome.code }) });
        return outcome;
      },
      { parent: job.trace ?? 'none', kind: 'consumer' },
    );
  };
}

type Tables = ReturnType<typeof stepTables>;

function stepTables(worker: Worker) {
  const { telemetry } = worker;
  return {
    message: steps(telemetry, [
      { name: 'worker.load', run: (job: CryptoJob) => load(worker, job) },
      { name: 'worker.classify', run: classify },
      { name: 'worker.decide', run: (classified) => decideOnce(worker, classified) },
    ]),
    protect: steps(telemetry, [
      { name: 'worker.resolve', run: (work: Work<'protect'>) => resolveProtection(worker, work) },
      { name: 'worker.protect', run: (resolved) => protectGroup(worker, resolved) },
    ]),
    open: steps(telemetry, [
      { name: 'worker.resolve', run: (work: Work<'open'>) => resolveOpening(worker, work) },
      { name: 'worker.open', run: (resolved) => openGroup(worker, resolved) },
    ]),
    send: steps(telemetry, [
      { name: 'worker.seal', run: (departing: Departing) => seal(worker, departing) },
      { name: 'worker.store', run: (sealed) => store(worker, sealed) },
    ]),
  };
}

async function processJob(worker: Worker, tables: Tables, job: CryptoJob, claim: Claim): Promise<Outcome<CryptoJob>> {
  // Before anything else: the blob of a message that was published may be gone already.
  if (await worker.marks.has(publishedMark(job.id))) return finish(worker, job);
  const message = await tables.message(job);
  reportDecision(worker, message);
  const { published, setAside } = await workOff(worker, tables, message);
  await worker.telemetry.span(
    'worker.publish',
    { groups: published.length },
    async () => {
      // A worker whose event loop was blocked may have lost the job to another one.
      if (!(await claim.isHeld())) throw fail('internal');
      const trace = worker.telemetry.current();
      if (published.length > 0) {
        await worker.deliveries.publish(published.map((delivery) => ({ ...delivery, ...(trace ? { trace } : {}) })));
      }
    },
    { kind: 'producer' },
  );
  const [code] = setAside;
  if (code === undefined) {
    await worker.marks.set(publishedMark(job.id), worker.ticketLifeMs);
    return finish(worker, job);
  }
  await Promise.all(published.map(({ id }) => worker.marks.set(publishedMark(id), worker.ticketLifeMs)));
  return { kind: 'quarantine', code };
}

/** What is left of a published message is taken away; doing it twice changes nothing. */
async function finish(worker: Worker, job: CryptoJob): Promise<Outcome<CryptoJob>> {
  await Promise.all([worker.blobs.remove(planBlob(job.id)), worker.blobs.remove(job.id)]);
  return { kind: 'done' };
}

interface WorkedOff {
  readonly published: readonly DeliveryJob[];
  /** Why groups wait for a person; what should be impossible first. */
  readonly setAside: readonly ErrorCode[];
}

/** Group by group, so that only one group's bytes are in memory at a time. */
async function workOff(worker: Worker, tables: Tables, message: Decided): Promise<WorkedOff> {
  const published: DeliveryJob[] = [];
  const setAside: ErrorCode[] = [];
  for (const group of message.plan.groups) {
    if (!message.isFirstTry && (await isPublished(worker, message, group))) continue;
    try {
      const mail = await treat(worker, tables, message, group);
      if (mail) published.push(await tables.send({ message, outgoing: mail }));
    } catch (error) {
      const code = codeOf(error);
      // Later, or the process is to blame: nothing is published before every group is either ready or set aside.
      if (errors[code].action === 'retry') throw error;
      report(worker, message, group, { action: 'quarantine', code });
      setAside.push(code);
    }
  }
  return { published, setAside: setAside.toSorted((a, b) => urgency(b) - urgency(a)) };
}

/** What a group's recipients get, or undefined for a report that nobody wants. Throws the code of a group that is set aside. */
async function treat(worker: Worker, tables: Tables, message: Decided, group: Group): Promise<Outgoing | undefined> {
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
    if (!message.released || errors[codeOf(error)].action === 'retry') throw error;
    worker.log.event('message.released', { tenant: message.job.tenant, message: message.job.id, group: group.id });
    return passed(worker, message, group);
  }
}

/** Unchanged, but for fields that only we may write. */
function passed(worker: Worker, message: Decided, group: Group): Outgoing {
  report(worker, message, group, { action: 'pass' });
  if (message.ticket.direction === 'outbound') return outgoing(message, group, message.message);
  return outgoing(message, group, withoutForged(message.message, policyOf(worker, message.job).inbound));
}

/** An earlier try got this far with this group. Its blob must stay as it is: the queued ticket names its hash. */
async function isPublished(worker: Worker, { job }: Decided, group: Group): Promise<boolean> {
  const id = deliveryId(job.id, group.action.do === 'bounce' ? `${group.id}b` : group.id);
  const [done, queued] = await Promise.all([worker.marks.has(publishedMark(id)), worker.deliveries.has(id)]);
  return done || queued;
}

function urgency(code: ErrorCode): number {
  return errors[code].action === 'alert' ? 1 : 0;
}
