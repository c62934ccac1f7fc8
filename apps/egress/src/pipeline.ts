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
  type Outcome,
} from '@sealpost/core';
import { steps, type Telemetry } from '@sealpost/service';
import { begin, type Delivery, mailOf, pendingOf, type Settlement } from './delivery.ts';
import { type LoadTools, loader } from './load.ts';
import { isLoop, markerField } from './loop.ts';
import type { NextHop } from './next-hop.ts';
import { type ReportTools, report } from './report.ts';
import { send } from './send.ts';
import { type SettleRules, settle } from './settle.ts';
import { tell, tellDoubt } from './tell.ts';

/**
 * A finished delivery is remembered this long: its blob goes before its job does, and a process that dies between the two must not
 * make the next one take the blob for lost. A stalled job comes back within seconds; an hour covers an outage.
 */
const finishedMarkMs = 60 * 60_000;

export interface PipelineTools extends LoadTools, ReportTools {
  readonly keys: KeyService;
  readonly blobs: BlobStore;
  readonly hops: readonly NextHop[];
  readonly log: Log;
  readonly telemetry: Telemetry;
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
      { name: 'egress.load', run: async (state) => loaded(state, await load(state.job)) },
      { name: 'egress.check', run: (state) => check(state, tools) },
      { name: 'egress.route', run: (state) => route(state, tools) },
      { name: 'egress.settle', run: (state) => ({ ...state, settlement: settle(state, rulesNow()) }) },
      { name: 'egress.report', run: (state) => tellSender(state, tools) },
    ],
    ({ outcome }) => outcome !== undefined,
  );
  const rulesNow = (): SettleRules => ({ ...tools.rules, now: tools.clock.now(), random: tools.random() });

  async function loaded(state: Delivery, mail: Delivery['mail']): Promise<Delivery> {
    if (mail) return { ...state, mail };
    if (await marks.has(finishedMark(state.job))) return { ...state, outcome: { kind: 'done' } };
    throw fail('blob-missing');
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
    telemetry.span(
      'egress.deliver',
      { tenant: job.tenant, delivery: job.id, attempt: job.attempts },
      async (set) => {
        const end = await run(begin(job, claim));
        const outcome = end.outcome ?? conclude(end);
        set({ outcome: outcome.kind });
        tell(end, tools);
        return outcome.kind === 'done' ? finish(job) : outcome;
      },
      { kind: 'consumer', ...(job.trace ? { parent: job.trace } : {}) },
    );
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
  const tries = new Map([...state.tries, ...sent.tries]);
  // Another process has the job: whatever we say about it is not heard, and it sends.
  if (sent.fenced) return { ...state, tries, outcome: laterWith(state.job, tools.clock.now()) };
  return { ...state, tries };
}

function laterWith(job: DeliveryJob, at: Date): Outcome<DeliveryJob> {
  return { kind: 'later', at, job, code: 'internal' };
}

/** Tells the sender; where that fails, those it was about are not finished and the next try tells. */
async function tellSender(state: Delivery, tools: PipelineTools): Promise<Delivery> {
  const settlement = settlementOf(state);
  const { notices, settled } = settlement;
  if (notices.length === 0) return state;
  try {
    await report({ job: state.job, mail: mailOf(state), notices, trace: tools.telemetry.current() }, tools);
    return state;
  } catch (error) {
    const code = codeOf(error);
    if (errors[code].action !== 'retry') throw error;
    const at = new Date(tools.clock.now().getTime() + reportRetryMs);
    return {
      ...state,
      settlement: {
        ...settlement,
        settled: settled.filter(({ outcome }) => outcome !== 'bounced'),
        next: settlement.next ?? { at, code },
      },
    };
  }
}
/** The queue or the key service is away: soon enough, and no storm. */
const reportRetryMs = 10_000;

function settlementOf({ settlement }: Delivery): Settlement {
  if (!settlement) throw fail('internal');
  return settlement;
}

/** The job's end from what is settled: once nobody waits any more it is done, or aside where a report could not be delivered. */
export function conclude(state: Delivery): Outcome<DeliveryJob> {
  const { settled, attempted, next } = settlementOf(state);
  const job = {
    ...state.job,
    settled: [...state.job.settled, ...settled],
    attempts: state.job.attempts + (attempted ? 1 : 0),
  };
  if (next) return { kind: 'later', at: next.at, job, code: next.code };
  if (job.settled.every(({ outcome }) => outcome !== 'quarantined')) return { kind: 'done' };
  // A release tries those again, and nobody else.
  const released = { ...job, settled: job.settled.filter(({ outcome }) => outcome !== 'quarantined') };
  return { kind: 'quarantine', code: 'bounce-undeliverable', job: released };
}
