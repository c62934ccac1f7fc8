// One load on one gateway: what was sent, how long until it was acknowledged, how long until it came out, and what did not.

import { setTimeout as sleep } from 'node:timers/promises';
import { type CpuTimes, cpuBetween } from '../bench/cpu.ts';
import type { Direction, GatewayUnderLoad } from './gateway-under-load.ts';
import { type Latency, recordLatency } from './latency.ts';
import { type Load, schedule } from './schedule.ts';
import { send } from './send.ts';

/** What is still on its way when the last message was acknowledged comes out within this time, or is missing. */
const drainMs = 60_000;
/** Connections and timers are ready before the first message is due. */
const headStartMs = 200;

export interface LoadResult {
  readonly direction: Direction;
  readonly rate: number;
  readonly seconds: number;
  readonly sent: number;
  readonly refused: number;
  readonly unanswered: number;
  /** Were due while every connection was busy: with more than a few, the generator was part of what was measured. */
  readonly late: number;
  /** Milliseconds from when a message was due to its 250. */
  readonly accepted: Latency;
  /** Milliseconds from when a message was due until it came out. */
  readonly delivered: Latency;
  readonly missing: number;
  readonly duplicates: number;
  /** Milliseconds of processor time for each message, by kind of process. */
  readonly cpuMsPerMessage: CpuTimes;
}

export interface LoadOptions {
  readonly direction: Direction;
  readonly connections: number;
  readonly random?: () => number;
  progress?(done: number, of: number): void;
}

export async function runLoad(gateway: GatewayUnderLoad, load: Load, options: LoadOptions): Promise<LoadResult> {
  const { direction, connections, random = Math.random, progress } = options;
  const due = schedule(load, random);
  // Made before the clock runs: encrypting 500 KB with OpenSSL takes longer than sending it.
  for (const { bytes } of load.sizes) gateway.mail(direction, bytes, 0);

  const delivered = recordLatency();
  const came = new Set<number>();
  let duplicates = 0;
  const start = performance.now() + headStartMs;
  gateway.onTaken((index, at) => {
    const message = due[index];
    if (!message) return;
    if (came.has(index)) duplicates++;
    else delivered.record(at - start - message.at);
    came.add(index);
  });
  const before = gateway.cpu();
  const sent = await send({
    to: gateway.address(direction),
    connections,
    due,
    start,
    mail: (index, { bytes }) => gateway.mail(direction, bytes, index),
    progress: (done) => progress?.(done, due.length),
  });
  const deadline = performance.now() + drainMs;
  while (came.size < sent.accepted.count && performance.now() < deadline) await sleep(10);
  const used = Object.entries(cpuBetween(before, gateway.cpu()));
  gateway.onTaken(() => undefined);
  return {
    direction,
    rate: load.rate,
    seconds: load.seconds,
    sent: due.length,
    refused: sent.refused,
    unanswered: sent.unanswered,
    late: sent.late,
    accepted: sent.accepted.read(),
    delivered: delivered.read(),
    missing: Math.max(0, sent.accepted.count - came.size),
    duplicates,
    cpuMsPerMessage: Object.fromEntries(used.map(([kind, ms]) => [kind, ms / Math.max(1, due.length)])),
  };
}
