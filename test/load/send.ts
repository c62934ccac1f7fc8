// Sends a schedule over a number of kept connections. A message that is due while all connections are busy waits, and its latency
// counts from when it was due.

import { setTimeout as sleep } from 'node:timers/promises';
import { connectSmtp, type SmtpSource } from '@sealpost/testkit';
import type { HostPort } from '../e2e/installation.ts';
import { type LatencyRecorder, recordLatency } from './latency.ts';
import type { Due } from './schedule.ts';

/** One message as it goes over the wire. */
export interface WireMail {
  readonly from: string;
  readonly to: string;
  /** With dots stuffed and the final dot. */
  readonly data: Buffer;
}

export interface Sent {
  readonly accepted: LatencyRecorder;
  /** Answered with a code other than 250. */
  readonly refused: number;
  /** The connection ended before there was an answer. */
  readonly unanswered: number;
  /** Were due while every connection was busy. */
  readonly late: number;
}

export interface Sending {
  readonly to: HostPort;
  readonly connections: number;
  readonly due: readonly Due[];
  /** When the schedule's zero is, of `performance.now()`. */
  readonly start: number;
  mail(index: number, due: Due): WireMail;
  progress?(done: number): void;
}

/** Resolves when every message was answered or lost. The loop is bounded by the schedule. */
export async function send(sending: Sending): Promise<Sent> {
  const { due, start, connections } = sending;
  const accepted = recordLatency();
  const counts = { refused: 0, unanswered: 0, late: 0 };
  let next = 0;
  let done = 0;

  async function work(): Promise<void> {
    let source: SmtpSource | undefined;
    for (let index = next++; index < due.length; index = next++) {
      const message = due[index];
      if (!message) break;
      try {
        // Before it is due: what a stranger waits for the greeting is not the message's time.
        source ??= await connected(sending.to);
        const early = start + message.at - performance.now();
        if (early > 0) await sleep(early);
        else if (early < -1) counts.late++;
        const code = await transaction(source, sending.mail(index, message));
        if (code === 250) accepted.record(performance.now() - start - message.at);
        else counts.refused++;
      } catch {
        counts.unanswered++;
        await source?.[Symbol.asyncDispose]();
        source = undefined;
      }
      sending.progress?.(++done);
    }
    source?.end();
  }

  await Promise.all(Array.from({ length: connections }, work));
  return { accepted, ...counts };
}

async function connected(to: HostPort): Promise<SmtpSource> {
  const source = await connectSmtp(to);
  const { code } = await source.greet('load.test');
  if (code !== 250) throw new Error(`EHLO was answered with ${code}`);
  return source;
}

/** The code that decided. */
async function transaction(source: SmtpSource, { from, to, data }: WireMail): Promise<number> {
  for (const [line, expected] of [
    [`MAIL FROM:<${from}>`, 250],
    [`RCPT TO:<${to}>`, 250],
    ['DATA', 354],
  ] as const) {
    const { code } = await source.command(line);
    if (code === expected) continue;
    await source.command('RSET');
    return code;
  }
  await source.write(data);
  return (await source.reply()).code;
}
