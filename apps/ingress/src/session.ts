// One client's dialogue: what each command is held against, and how a message comes in. State lives in smtp-server's session; what
// it does not keep is in the visit.

import { TLSSocket } from 'node:tls';
import {
  codeOf,
  type Direction,
  type EnvelopeRecipient,
  type ErrorCode,
  envelopeSalt,
  fail,
  type Log,
  type MessageId,
} from '@sealpost/core';
import { type Telemetry, tlsVersion } from '@sealpost/service';
import type { SMTPServerAddress, SMTPServerDataStream, SMTPServerSession } from 'smtp-server';
import type { Arrival } from './accept.ts';
import { Abandoned, collect } from './collect.ts';
import { commandOf, connectionOf } from './connection.ts';
import type { Admission, Door } from './doors.ts';
import { type ByteBudget, type ClientLimits, maxRefusedRecipients } from './limits.ts';
import { readRecipient, readSender, type Sender } from './parameters.ts';
import { repliedCode } from './reply.ts';
import type { Client } from './sources.ts';

/** Bounds in time of a session and of a message's DATA. */
export interface Pace {
  readonly sessionMs: number;
  /** Longest silence between two commands. */
  readonly idleMs: number;
  readonly slowStartMs: number;
  readonly slowestBytesPerSecond: number;
}

export interface Reception {
  readonly door: Door;
  readonly startTls: 'required' | 'offered' | 'off';
  /** Host name in Received fields. */
  readonly installation: string;
  readonly maxBytes: number;
  readonly maxRecipients: number;
  readonly pace: Pace;
  readonly clients: ClientLimits;
  readonly budget: ByteBudget;
  readonly accept: (arrival: Arrival) => Promise<MessageId>;
  readonly log: Log;
  readonly telemetry: Telemetry;
}

/**
 * Characters that all recipients of one envelope may take, ORCPT included: the key service is shown the envelope for each lease and
 * bounds it at 768 KiB.
 */
const maxRecipientText = 512 * 1024;

interface Visit {
  client: Client;
  phase: 'commands' | 'receiving' | 'answering';
  refusedRecipients: number;
  /** Ends the DATA under way. */
  abort: AbortController;
  /** Ends when the present message is answered. */
  overdue: boolean;
  readonly leave: () => void;
}

export interface Desk {
  arrive(session: SMTPServerSession): Promise<undefined>;
  secure(socket: unknown, session: SMTPServerSession): Promise<undefined>;
  mail(address: SMTPServerAddress, session: SMTPServerSession): Promise<undefined>;
  recipient(address: SMTPServerAddress, session: SMTPServerSession): Promise<undefined>;
  /** What 250 says. */
  data(stream: SMTPServerDataStream, session: SMTPServerSession): Promise<string>;
  leave(session: SMTPServerSession): void;
  readonly sessions: number;
  /** Sends everybody away, new ones too; a message whose final dot has come is answered first. Resolves when they are. */
  stop(): Promise<undefined>;
}

export function openDesk(reception: Reception): Desk {
  const { door, pace, clients, budget, log, telemetry } = reception;
  const { direction } = door;
  const visits = new Map<SMTPServerSession, Visit>();
  const senders = new WeakMap<SMTPServerAddress, Begun>();
  const recipients = new WeakMap<SMTPServerAddress, EnvelopeRecipient>();
  const answering = new Set<Promise<unknown>>();
  let stopping = false;

  function hangUp(session: SMTPServerSession, code: ErrorCode): void {
    const visit = visits.get(session);
    if (visit?.phase === 'answering') {
      visit.overdue = true;
      return;
    }
    log.event('session.refused', { direction, code });
    visit?.abort.abort();
    connectionOf(session)?.hangUp(code);
  }

  /** Ends a session whose time came while its message was being stored, right after the answer. */
  function endOverdue(session: SMTPServerSession): void {
    if (stopping || visits.get(session)?.overdue)
      setImmediate(() => hangUp(session, stopping ? 'gateway-stopping' : 'session-too-long'));
  }

  function visitOf(session: SMTPServerSession): Visit {
    const visit = visits.get(session);
    if (!visit) throw fail('internal');
    return visit;
  }

  return {
    get sessions() {
      return visits.size;
    },

    async arrive(session) {
      if (stopping) throw fail('gateway-stopping');
      const leave = clients.enter(session.remoteAddress);
      const deadline = setTimeout(() => hangUp(session, 'session-too-long'), pace.sessionMs).unref();
      visits.set(session, {
        client: { address: session.remoteAddress },
        phase: 'commands',
        refusedRecipients: 0,
        abort: new AbortController(),
        overdue: false,
        leave() {
          clearTimeout(deadline);
          leave();
        },
      });
    },

    async secure(socket, session) {
      if (!(socket instanceof TLSSocket)) return;
      // smtp-server listens for one error of a TLS socket; another would end the process.
      socket.on('error', () => undefined);
      telemetry.count('sealpost_tls_handshakes_total', { door: direction, result: tlsVersion(socket) });
      const { fingerprint256 } = socket.getPeerCertificate();
      const visit = visitOf(session);
      visit.client = {
        address: session.remoteAddress,
        ...(fingerprint256 ? { certificate: fingerprint256.replaceAll(':', '').toLowerCase() } : {}),
      };
    },

    async mail(address, session) {
      if (reception.startTls === 'required' && !session.secure) throw fail('starttls-required');
      const { client } = visitOf(session);
      const admission = door.admit(client);
      const sender = readSender(commandOf(address));
      if ((sender.size ?? 0) > budget.limit - budget.used) throw fail('gateway-busy');
      clients.message(client.address);
      senders.set(address, { admission, sender });
    },

    async recipient(address, session) {
      const visit = visitOf(session);
      try {
        const { admission, sender, recipients: others } = transactionOf(session);
        const recipient = readRecipient(commandOf(address), sender.smtpUtf8, admission.postmasterDomain);
        if (others.length >= reception.maxRecipients || textOf([...others, recipient]) > maxRecipientText)
          throw fail('too-many-recipients');
        await admission.admitRecipient(
          recipient.address,
          others.map((other) => other.address),
        );
        recipients.set(address, recipient);
      } catch (error) {
        if (++visit.refusedRecipients > maxRefusedRecipients) throw fail('session-too-long', error);
        throw error;
      }
    },

    async data(stream, session) {
      const visit = visitOf(session);
      const reservation = budget.open();
      const abort = new AbortController();
      visit.abort = abort;
      visit.phase = 'receiving';
      const watch = watchPace(stream, pace, () => hangUp(session, 'session-too-long'));
      try {
        const { admission, sender, recipients: envelopeRecipients } = transactionOf(session);
        const trace = traceOf(session, reception.installation, sender.smtpUtf8);
        const message = await collect(stream, {
          maxBytes: reception.maxBytes,
          normaliseBareLf: admission.normaliseBareLf,
          reservation,
          signal: abort.signal,
        });
        visit.phase = 'answering';
        const accepting = reception.accept({
          direction,
          admission,
          trace,
          message,
          envelope: {
            mailFrom: sender.address,
            recipients: envelopeRecipients,
            eightBit: sender.eightBit,
            smtpUtf8: sender.smtpUtf8,
            salt: envelopeSalt(),
            ...(sender.ret ? { ret: sender.ret } : {}),
            ...(sender.envid === undefined ? {} : { envid: sender.envid }),
          },
        });
        answering.add(accepting);
        const id = await accepting.finally(() => answering.delete(accepting));
        return `2.0.0 Ok: queued as ${id}`;
      } finally {
        clearInterval(watch);
        reservation.release();
        visit.phase = 'commands';
        endOverdue(session);
      }
    },

    leave(session) {
      const visit = visits.get(session);
      visit?.abort.abort();
      visit?.leave();
      visits.delete(session);
    },

    async stop() {
      stopping = true;
      for (const session of visits.keys()) hangUp(session, 'gateway-stopping');
      await Promise.allSettled(answering);
    },
  };

  /** The transaction is what smtp-server's envelope holds: RSET, EHLO and STARTTLS end it there. */
  function transactionOf({ envelope }: SMTPServerSession): Transaction {
    const begun = envelope.mailFrom && senders.get(envelope.mailFrom);
    if (!begun) throw fail('internal');
    return { ...begun, recipients: envelope.rcptTo.flatMap((address) => recipients.get(address) ?? []) };
  }
}

interface Begun {
  readonly admission: Admission;
  readonly sender: Sender;
}

interface Transaction extends Begun {
  /** Accepted so far. */
  readonly recipients: readonly EnvelopeRecipient[];
}

function textOf(recipients: readonly EnvelopeRecipient[]): number {
  return recipients.reduce((sum, { address, orcpt = '' }) => sum + address.length + orcpt.length, 0);
}

function watchPace(stream: SMTPServerDataStream, pace: Pace, onSlow: () => void): NodeJS.Timeout {
  const started = performance.now();
  return setInterval(
    () => {
      const passedMs = performance.now() - started;
      if (passedMs >= pace.slowStartMs && stream.byteLength < (passedMs / 1000) * pace.slowestBytesPerSecond) onSlow();
    },
    Math.min(pace.slowStartMs, 1_000),
  ).unref();
}

function traceOf(session: SMTPServerSession, by: string, smtpUtf8: boolean): Arrival['trace'] {
  const { tlsOptions: tls } = session;
  return {
    helo: session.hostNameAppearsAs,
    clientAddress: session.remoteAddress,
    by,
    extended: session.openingCommand === 'EHLO',
    smtpUtf8,
    ...(tls ? { tls: { version: tls.version, cipher: tls.standardName } } : {}),
  };
}

/** Logs and counts what was refused. Nobody is left to be told of an abandoned DATA. */
export function noteRefusal(
  error: unknown,
  direction: Direction,
  { log, telemetry }: Pick<Reception, 'log' | 'telemetry'>,
) {
  if (error instanceof Abandoned) return;
  const code = repliedCode(error);
  telemetry.count('sealpost_messages_refused_total', { direction, code });
  const isOurs = codeOf(error) === 'internal' && error instanceof Error;
  log.event('message.refused', { direction, code, ...(isOurs ? { error } : {}) });
}
