// What an audit log tells, one act a request: its intent and its outcome put together. Answers who used which key when, and which
// keys a worker held.

import type { AuditRecord } from './chain.ts';
import { type LogState, readLog } from './read-log.ts';

export interface Act {
  /** Of the intent, where there is one. */
  readonly at: string;
  readonly operation: string;
  readonly request: string;
  readonly role: string;
  readonly name: string;
  /** SHA-256 of the client's certificate. */
  readonly client?: string;
  readonly instance?: string;
  readonly tenant?: string;
  readonly key?: string;
  readonly address?: string;
  readonly message?: string;
  readonly lease?: string;
  /** End of a lease. */
  readonly until?: string;
  readonly slot?: string;
  readonly count?: number;
  /** State of a key after a step, and before it. */
  readonly state?: string;
  readonly was?: string;
  /** Under dual control: what was requested, the request's id and SHA-256, and who asked for it or whom it is about. */
  readonly act?: string;
  readonly approval?: string;
  readonly digest?: string;
  readonly person?: string;
  /** `ok`, an error's code, or `unfinished`: the service ended between intent and outcome, and nothing was answered. */
  readonly result: string;
}

/** What is looked for; what is left out does not matter. */
export interface ActFilter {
  readonly from?: Date | undefined;
  readonly to?: Date | undefined;
  /** Keyed hashes, as the store made them: one for each version of its key. */
  readonly address?: readonly string[] | undefined;
  readonly key?: string | undefined;
  readonly tenant?: string | undefined;
  readonly message?: string | undefined;
  readonly operation?: string | undefined;
  /** Name of a process, or name or SHA-256 of its certificate. */
  readonly worker?: string | undefined;
}

export interface ActsFound {
  readonly acts: readonly Act[];
  /** A log that was tampered with tells only what stands before the change. */
  readonly log: LogState['kind'];
}

/** Acts in the order in which they ended. */
export async function findActs(file: string, filter: ActFilter): Promise<ActsFound> {
  const found: Act[] = [];
  const begun = new Map<string, Act>();
  const take = (act: Act): void => {
    if (matches(act, filter)) found.push(act);
  };
  const state = await readLog(file, (line) => {
    const record = JSON.parse(line) as AuditRecord;
    if (record.kind === 'checkpoint') return;
    const act = actOf(record);
    if (record.kind === 'intent') begun.set(act.request, act);
    else take({ ...begun.get(act.request), ...act, at: begun.get(act.request)?.at ?? act.at });
    if (record.kind === 'outcome') begun.delete(act.request);
  });
  for (const act of begun.values()) take(act);
  return { acts: found, log: state.kind };
}

/** A key in a worker's memory. */
export interface Exposure {
  readonly key: string;
  /** First time it was handed out, and end of the last lease. */
  readonly since: string;
  readonly until: string;
  readonly leases: number;
  /** Messages that it was asked for with. */
  readonly messages: readonly string[];
}

/** Operations that give out secrets. */
const handingOut: readonly string[] = ['lease', 'spool-private-key', 'marker-keys'];

/** Keys that a worker held at any moment between two times, by key. What was handed out before and had not ended counts. */
export async function findExposure(file: string, worker: string, from: Date, to: Date) {
  const { acts, log } = await findActs(file, { worker, to });
  const byKey = new Map<string, Exposure>();
  for (const act of acts) {
    // No secret leaves before its outcome is on disk.
    if (act.result !== 'ok' || act.until === undefined || !handingOut.includes(act.operation)) continue;
    if (new Date(act.until) < from) continue;
    const key = act.key ?? `${act.tenant ?? ''}/marker/mac`;
    const known = byKey.get(key);
    byKey.set(key, {
      key,
      since: known && known.since < act.at ? known.since : act.at,
      until: known && known.until > act.until ? known.until : act.until,
      leases: (known?.leases ?? 0) + 1,
      messages: [...new Set([...(known?.messages ?? []), ...(act.message === undefined ? [] : [act.message])])],
    });
  }
  return { exposures: [...byKey.values()], log };
}

/** Fields that an act has from its records as they stand there. */
const copied = [
  'at',
  'operation',
  'request',
  'instance',
  'tenant',
  'key',
  'address',
  'message',
  'lease',
  'until',
  'slot',
  'count',
  'state',
  'was',
  'act',
  'approval',
  'digest',
  'person',
] as const;

function actOf(record: Exclude<AuditRecord, { kind: 'checkpoint' }>): Act {
  const { role, name, certificate } = record.actor;
  const fields = [
    ...copied.map((field) => [field, record[field]] as const),
    ...Object.entries({ role, name, client: certificate, result: record.result ?? 'unfinished' }),
  ];
  // An outcome that leaves something out must not wipe what the intent said.
  return Object.fromEntries(fields.filter(([, value]) => value !== undefined)) as unknown as Act;
}

function matches(act: Act, { from, to, address, key, tenant, message, operation, worker }: ActFilter): boolean {
  const at = new Date(act.at);
  return (
    (!from || at >= from) &&
    (!to || at <= to) &&
    // A key id names its identity as the same hash.
    (address === undefined || [act.address, act.key?.split('/')[1]].some((own) => own && address.includes(own))) &&
    (key === undefined || act.key === key) &&
    (tenant === undefined || act.tenant === tenant) &&
    (message === undefined || act.message === message) &&
    (operation === undefined || act.operation === operation) &&
    (worker === undefined || [act.instance, act.name, act.client].includes(worker))
  );
}
