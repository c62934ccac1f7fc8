// One try of one delivery as a table of steps: load → check → route (connect, send) → settle → report. What is wrong with the job
// itself is thrown as a code of the table and settled by the queue; what a next hop does is a fact that is settled here.

import {
  type BlobStore,
  codeOf,
  type DeliveryJob,
  errors,
  fail,
  type Handler,
  type KeyService,
  type Log,
  messageOf,
  type Outcome,
} from '@sealpost/core';
import { jobSpan, steps, type Telemetry } from '@sealpost/service';
import { begin, type Delivery, mailOf, pendingOf, type Settlement, type Try } from './delivery.ts';
import { type LoadTools, loader } from './load.ts';
import { isLoop, markerField } from './loop.ts';
import type { NextHop } from './next-hop.ts';
import { type ReportTools, report } from './report.ts';
import { type Sent, send } from './send.ts';
import { type SettleRules, settle } from './settle.ts';
import { tell, tellDoubt } from './tell.ts';
import type { Waiting } from './waiting.ts';

/**
 * A finished delivery is remembered this long: its blob goes before its job does, so a process that dies between the two must not
 * make the next one take the blob for lost; and a worker that dies publishing may publish again what is delivered by then.
 * A stalled job comes back within seconds; an hour covers an outage.
 */
const finishedMarkMs = 60 * 60_000;

/** Before a report is tried again that the queue or the key service did not let through: soon enough, and no storm. */
const reportRetryMs = 10_000;

export interface PipelineTools extends LoadTools, ReportTools {
  readonly keys: KeyService;
  readonly blobs: BlobStore;
  readonly hops: readonly NextHop[];
  readonly log: Log;
  readonly telemetry: Telemetry;
  readonly waiting: Waiting;
  /** 0 ≤ n < 1, for jitter. */
  readonly random: () => number;
  readonly rules: Pick<SettleRules, 'maxAgeMs' | 'delayNoticeMs'>;
}

/** What the delivery stage's consumer runs. Errors: those of `loader`, of the marks and of the key service. */
export function deliver(tools: PipelineTools): Handler<DeliveryJob> {
  const { telemetry, marks, blobs } = tools;
  const load = loader(tools);

  const run = steps<Delivery>(
    telemetry,
    [
      { name: 'egress.load', run: loaded },
      { name: 'egress.check', run: (state) => check(state, tools) },
      { name: 'egress.route', run: (state) => route(state, tools) },
      { name: 'egress.settle', run: (state) => ({ ...state, settlement: settle(state, rulesNow()) }) },
      { name: 'egress.report', run: (state) => tellSender(state, tools) },
    ],
    ({ outcome }) => outcome !== undefined,
  );
  const rulesNow = (): SettleRules => ({ ...tools.rules, now: tools.clock.now(), random: tools.random() });

  async function loaded(state: Delivery): Promise<Delivery> {
    const [mail, isFinished] = await Promise.all([load(state.job), marks.has(finishedMark(state.job))]);
    if (isFinished) return { ...state, outcome: { kind: 'done' } };
    if (!mail) throw fail('blob-missing');
    return { ...state, mail };
  }

  async function finish(job: DeliveryJob): Promise<Outcome<DeliveryJob>> {
    try {
      await marks.set(finishedMark(job), finishedMarkMs);
      await blobs.remove(job.id);
    } catch {
      // The mail is delivered, whatever becomes of its blob: the sweep finds it.
    }
    return { kind: 'done' };
  }

  return (job, claim) =>
    jobSpan(
      telemetry,
      'egress.deliver',
      { stage: 'delivery', job, claim },
      { message: messageOf(job.id), delivery: job.id, attempt: job.attempts },
      async (set) => {
        const end = await run(begin(job, claim));
        const outcome = end.outcome ?? conclude(end);
        const bounced = end.settlement?.settled.filter((one) => one.outcome === 'bounced').length;
        set({ outcome: outcome.kind, ...(outcome.kind === 'done' ? {} : { code: outcome.code }), bounced });
        tell(end, tools);
        switch (outcome.kind) {
          case 'done':
            return finish(job);
          case 'later':
            return { ...outcome, job: triedNow(outcome.job, telemetry) };
          case 'quarantine':
            return outcome;
        }
      },
    );
}

/** The next try links to this one; both hang below the step that published the delivery. */
function triedNow(job: DeliveryJob, telemetry: Telemetry): DeliveryJob {
  const tried = telemetry.current();
  return tried ? { ...job, tried } : job;
}

const finishedMark = ({ id }: DeliveryJob): string => `finished-${id}`;

/** Looping mail goes back; other mail gets our marker, so that it would be recognised. */
async function check(state: Delivery, { keys }: PipelineTools): Promise<Delivery> {
  const { ticket, headers } = mailOf(state);
  const passing = { tenant: ticket.tenant, direction: ticket.direction, headers };
  const markerKeys = await keys.markerKeys(ticket.tenant);
  const [newest] = markerKeys;
  if (!newest) throw fail('key-service-unavailable');
  if (!isLoop(passing, markerKeys)) return { ...state, marker: markerField(passing, newest) };
  return {
    ...state,
    tries: new Map(pendingOf(state).map((at) => [at, { kind: 'refused', code: 'mail-loop' }])),
  };
}

async function route(state: Delivery, tools: PipelineTools): Promise<Delivery> {
  const sent = await send(state, tools.hops);
  tellDoubt(state, sent, tools);
  const tries = sent.fenced ? onlyDelivered(sent.tries, tools.clock.now()) : sent.tries;
  return { ...state, tries: new Map([...state.tries, ...tries]) };
}

/** Another process may hold the job: what is done is done, everything else is its to settle. */
function onlyDelivered(tries: Sent['tries'], at: Date): Map<number, Try> {
  const isOurs = ({ kind }: Try) => kind === 'delivered';
  return new Map(
    [...tries].map(([place, end]) => [place, isOurs(end) ? end : { kind: 'parked', at, code: 'internal' }]),
  );
}

/** Tells the sender; where that fails, those it was about are not finished, and those who got the mail are. */
async function tellSender(state: Delivery, tools: PipelineTools): Promise<Delivery> {
  const settlement = settlementOf(state);
  const { notices, settled, next } = settlement;
  if (notices.length === 0) return state;
  try {
    await report({ job: state.job, mail: mailOf(state), notices, trace: tools.telemetry.current() }, tools);
    return state;
  } catch (error) {
    const code = codeOf(error);
    const untold = {
      ...state,
      settlement: { ...settlement, settled: settled.filter(({ outcome }) => outcome !== 'bounced') },
    };
    if (errors[code].action !== 'retry') {
      return { ...untold, outcome: { kind: 'quarantine', code, job: jobAfter(untold) } };
    }
    const at = new Date(tools.clock.now().getTime() + reportRetryMs);
    return { ...untold, settlement: { ...untold.settlement, next: next ?? { at, code } } };
  }
}

function settlementOf({ settlement }: Delivery): Settlement {
  if (!settlement) throw fail('internal');
  return settlement;
}

/** The job's end from what is settled: once nobody waits any more it is done, or aside where a report could not be delivered. */
function conclude(state: Delivery): Outcome<DeliveryJob> {
  const { next } = settlementOf(state);
  const job = jobAfter(state);
  if (next) return { kind: 'later', at: next.at, job, code: next.code };
  if (job.settled.every(({ outcome }) => outcome !== 'quarantined')) return { kind: 'done' };
  // A release tries those again, and nobody else.
  const released = { ...job, settled: job.settled.filter(({ outcome }) => outcome !== 'quarantined') };
  return { kind: 'quarantine', code: 'bounce-undeliverable', job: released };
}

function jobAfter(state: Delivery): DeliveryJob {
  const { settled, attempted } = settlementOf(state);
  return {
    ...state.job,
    settled: [...state.job.settled, ...settled],
    attempts: state.job.attempts + (attempted ? 1 : 0),
  };
}
