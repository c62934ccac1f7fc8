// What the worker does with one job: a table of named steps for the message, and one for each group of its plan. A job ends only
// when every group is published or set aside; until then a retry starts over with the same plan.

import type { Claim, CryptoJob, DeliveryJob, Handler, Outcome } from '@sealpost/core';
import { jobSpan, messaging, steps } from '@sealpost/service';
import { classify } from './classify.ts';
import { decideOnce } from './decide.ts';
import { workOff } from './groups.ts';
import { load } from './load.ts';
import { openGroup } from './open.ts';
import { protectGroup } from './protect.ts';
import { reportDecision } from './report.ts';
import { resolveOpening, resolveProtection, type Work } from './resolve.ts';
import { type Departing, demandClaim, seal, store } from './send.ts';
import { planBlob, publishedMark, type Worker } from './worker.ts';

/** The worker's handler for the crypto stage. */
export function cryptoHandler(worker: Worker): Handler<CryptoJob> {
  const tables = stepTables(worker);
  return (job, claim, retryAs) => {
    const attributes = { message: job.id, attempt: claim.diedBefore };
    return jobSpan(worker.telemetry, 'worker.process', { stage: 'crypto', job, claim }, attributes, async (set) => {
      const tried = worker.telemetry.current();
      if (tried) retryAs({ ...job, tried });
      const outcome = await processJob(worker, tables, job, claim);
      set({ outcome: outcome.kind, ...(outcome.kind === 'done' ? {} : { code: outcome.code }) });
      return outcome;
    });
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
    publish: steps(telemetry, [
      {
        name: 'worker.publish',
        kind: 'producer',
        attributes: ({ ready }: Departure) => messaging('publish', 'delivery', ready),
        run: (departure: Departure) => publish(worker, departure),
      },
    ]),
  };
}

async function processJob(worker: Worker, tables: Tables, job: CryptoJob, claim: Claim): Promise<Outcome<CryptoJob>> {
  // Before anything else: the blob of a message that was published may be gone already.
  if (await worker.marks.has(publishedMark(job.id))) return finish(worker, job);
  const message = await tables.message(job);
  reportDecision(worker, message);
  const { ready, before, setAside } = await workOff(worker, tables, message, claim);
  if (ready.length > 0) await tables.publish({ ready, claim });
  const [code] = setAside;
  if (code === undefined) {
    await worker.marks.set(publishedMark(job.id), worker.maxAgeMs);
    return finish(worker, job);
  }
  // The job comes back when it is released, however late; what went must not go again.
  const gone = [...before, ...ready.map(({ id }) => id)];
  await Promise.all(gone.map((id) => worker.marks.set(publishedMark(id), worker.ticketLifeMs)));
  return { kind: 'quarantine', code };
}

interface Departure {
  readonly ready: readonly DeliveryJob[];
  readonly claim: Claim;
}

/** All or nothing as far as Redis can: an error here repeats the whole, and what was queued stays as it is. */
async function publish(worker: Worker, departure: Departure): Promise<Departure> {
  await demandClaim(departure.claim);
  const trace = worker.telemetry.current();
  await worker.deliveries.publish(departure.ready.map((job) => (trace ? { ...job, trace } : job)));
  return departure;
}

/** What is left of a published message is taken away; doing it twice changes nothing. */
async function finish(worker: Worker, job: CryptoJob): Promise<Outcome<CryptoJob>> {
  await Promise.all([worker.blobs.remove(planBlob(job.id)), worker.blobs.remove(job.id)]);
  return { kind: 'done' };
}
