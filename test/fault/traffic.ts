// Traffic for fault tests: messages that can be told apart on the far side, and senders who behave like mail servers: what was
// refused for now or left unanswered is sent again, so a message may come twice and must not be missing.

import { setTimeout as sleep } from 'node:timers/promises';
import { readHeaders } from '@sealpost/smime';
import { connectSmtp, type SinkTransaction, type SmtpMail, type SmtpReply, type SmtpSource } from '@sealpost/testkit';
import type { HostPort } from '../e2e/installation.ts';

/** A mail server waits minutes; a test has less time. */
const retryMs = 200;
/** Who has not answered by then is given up, as a mail server does after minutes. */
const replyMs = 30_000;
const domain = 'load.test';

export interface Server extends HostPort {
  /** Only over TLS; its certificate is not looked at. */
  readonly startTls?: boolean;
}

export interface Parcel extends SmtpMail {
  /** Stands in the Message-ID, which stays readable on protected mail. */
  readonly name: string;
  readonly server: Server;
}

export interface SendOptions {
  readonly sessions: number;
  /** For the whole; who is not through by then fails. */
  readonly withinMs: number;
  /** Hears how many messages were acknowledged so far, after each. */
  readonly onAcknowledged?: (count: number) => void;
}

export interface SendCounts {
  readonly acknowledged: number;
  /** Replies with 4xx. */
  readonly refused: number;
  /** Connections that could not be had or broke, with or without the final dot sent. */
  readonly unanswered: number;
}

export const messageId = (name: string): string => `<${name}@${domain}>`;

/** Sends every parcel until it is acknowledged. Rejects on a 5xx reply and when the time is over. */
export async function sendParcels(parcels: readonly Parcel[], options: SendOptions): Promise<SendCounts> {
  const deadline = performance.now() + options.withinMs;
  const counts = { acknowledged: 0, refused: 0, unanswered: 0 };
  const waiting = [...parcels];

  async function session(): Promise<void> {
    let client: SmtpSource | undefined;
    let connected: Server | undefined;
    for (let parcel = waiting.shift(); parcel; parcel = waiting.shift()) {
      for (;;) {
        if (performance.now() > deadline) throw new Error(`${parcel.name} was not taken in time`);
        const { server } = parcel;
        try {
          if (!client || connected !== server) {
            client?.end();
            client = await greeted(server);
            connected = server;
          }
          const reply = lastReply(await answeredInTime(client, client.send(parcel)));
          if (reply.code === 250) break;
          if (reply.code >= 500) throw new Refused(reply.text);
          counts.refused++;
        } catch (error) {
          if (error instanceof Refused) throw error;
          counts.unanswered++;
        }
        client?.end();
        client = undefined;
        await sleep(retryMs);
      }
      counts.acknowledged++;
      options.onAcknowledged?.(counts.acknowledged);
    }
    client?.end();
  }

  await Promise.all(Array.from({ length: options.sessions }, session));
  return counts;
}

class Refused extends Error {}

async function greeted({ host, port, startTls }: Server): Promise<SmtpSource> {
  const client = await connectSmtp({ host, port });
  const { code, text } = await client.greet();
  if (startTls) {
    await client.startTls();
    await client.command('EHLO source.test');
  }
  if (code !== 250) throw new Error(text);
  return client;
}

async function answeredInTime<T>(client: SmtpSource, reply: Promise<T>): Promise<T> {
  const timer = setTimeout(() => client.reset(), replyMs);
  try {
    return await reply;
  } finally {
    clearTimeout(timer);
  }
}

function lastReply(replies: Awaited<ReturnType<SmtpSource['send']>>): SmtpReply {
  const { mail, rcpt, data, message } = replies;
  return message ?? data ?? rcpt.at(-1) ?? mail;
}

/** What arrived, by parcel name; what came twice is there twice. Mail that is no parcel is left out. */
export function arrivedParcels(...sinks: { readonly transactions: readonly SinkTransaction[] }[]) {
  const named = sinks.flatMap(({ transactions }) =>
    transactions.map((transaction) => ({ name: nameOf(transaction.message), transaction })),
  );
  return Map.groupBy(
    named.filter(({ name }) => name !== undefined),
    ({ name }) => name ?? '',
  );
}

function nameOf(message: Buffer): string | undefined {
  const field = readHeaders(message).find(({ name }) => name === 'message-id');
  const [, name, at] = /<([^@>]+)@([^>]+)>/.exec(field?.value ?? '') ?? [];
  return at === domain ? name : undefined;
}

/** Waits until every parcel has arrived; the number of arrivals above one each. Rejects with the missing names. */
export async function untilArrived(
  parcels: readonly Parcel[],
  sinks: readonly { readonly transactions: readonly SinkTransaction[] }[],
  withinMs: number,
): Promise<number> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const arrived = arrivedParcels(...sinks);
    const missing = parcels.filter(({ name }) => !arrived.has(name)).map(({ name }) => name);
    if (missing.length === 0) return parcels.reduce((sum, { name }) => sum + (arrived.get(name)?.length ?? 1) - 1, 0);
    if (performance.now() > deadline) throw new Error(`${missing.length} of ${parcels.length} missing: ${missing}`);
    await sleep(100);
  }
}
