// Service times as they are on a running installation: processor time by message, from its own metrics in Prometheus.

import { UsageError } from '../usage-error.ts';
import type { Part } from './forecast.ts';

/** Long enough to even out bursts, short enough to be of now. */
const range = '1h';
const timeoutMs = 10_000;

const cpu = (role: string): string => `sum(rate(sealpost_process_cpu_seconds_total{role="${role}"}[${range}]))`;
const each = (counter: string): string => `sum(rate(${counter}[${range}]))`;

/** Processor seconds of a message; deliveries are counted by message too, so a message for many next hops costs more. */
const queries = {
  // Each ingress shows the same Redis.
  redis: `max(rate(sealpost_redis_cpu_seconds_total[${range}])) / ${each('sealpost_messages_accepted_total')}`,
  ingress: `${cpu('ingress')} / ${each('sealpost_messages_accepted_total')}`,
  'crypto-worker': `${cpu('crypto-worker')} / ${each('sealpost_messages_accepted_total')}`,
  egress: `${cpu('egress')} / ${each('sealpost_messages_accepted_total')}`,
} as const satisfies Partial<Record<Part, string>>;

export type MeasuredTimes = Readonly<Record<keyof typeof queries, number>>;

/** Seconds by part. `url`: of Prometheus. Throws UsageError where it does not answer or has seen no mail. */
export async function measuredTimes(url: string): Promise<MeasuredTimes> {
  const entries = await Promise.all(
    Object.entries(queries).map(async ([part, query]) => [part, await ask(url, query)] as const),
  );
  return Object.fromEntries(entries) as MeasuredTimes;
}

async function ask(url: string, query: string): Promise<number> {
  const target = new URL('api/v1/query', url.endsWith('/') ? url : `${url}/`);
  target.searchParams.set('query', query);
  const value = numberOf(await answer(target));
  if (!(value > 0 && Number.isFinite(value)))
    throw new UsageError(`Prometheus at ${url} has seen no mail of this installation in the last hour`);
  return value;
}

async function answer(target: URL): Promise<unknown> {
  try {
    const response = await fetch(target, { signal: AbortSignal.timeout(timeoutMs) });
    if (response.ok) return await response.json();
  } catch {
    // Told below, like an answer that is none.
  }
  throw new UsageError(`Prometheus at ${target.origin} does not answer`);
}

/** The one number of an instant query; NaN for none. */
function numberOf(body: unknown): number {
  const { data } = body as { data?: { result?: readonly { value?: readonly [number, string] }[] } };
  return Number(data?.result?.[0]?.value?.[1] ?? Number.NaN);
}
