// From the final dot to durable: check → seal → ticket → store → publish. Only after all of them does the client hear 250, because
// from then on the message is ours (RFC 5321 §6.1). Whatever fails leaves it in the client's hands.

import { createHash } from 'node:crypto';
import {
  type BlobStore,
  type Clock,
  type CryptoJob,
  codeOf,
  type Direction,
  type Envelope,
  envelopeHash,
  type KeyId,
  type KeyService,
  type Log,
  type MessageId,
  newMessageId,
  type Publisher,
  type SpoolSessions,
  sealMessage,
  signTicket,
  type TenantId,
  ticketText,
} from '@sealpost/core';
import { messaging, steps, type Telemetry } from '@sealpost/service';
import type { HeaderField } from '@sealpost/smime';
import { checkHeaders } from './check-message.ts';
import type { Admission } from './doors.ts';
import { type ReceivedFacts, receivedField } from './received.ts';

/** What the pipeline works with. */
export interface Spool {
  readonly keys: KeyService;
  readonly sessions: SpoolSessions;
  readonly blobs: BlobStore;
  readonly publisher: Publisher<CryptoJob>;
  readonly clock: Clock;
  readonly log: Log;
  readonly telemetry: Telemetry;
}

/** One finished SMTP transaction. */
export interface Arrival {
  readonly direction: Direction;
  readonly admission: Admission;
  readonly envelope: Omit<Envelope, 'headerFrom'>;
  readonly trace: Omit<ReceivedFacts, 'id' | 'now'>;
  readonly message: Buffer;
}

interface Checked {
  readonly arrival: Arrival;
  readonly id: MessageId;
  readonly acceptedAt: Date;
  readonly tenant: TenantId;
  readonly envelope: Envelope;
  readonly message: Buffer;
}

interface Sealed extends Checked {
  readonly keyId: KeyId;
  readonly blob: Buffer;
}

interface Ticketed extends Sealed {
  readonly ticket: Buffer;
}

/** Resolves to the id that 250 names. Errors: those of the message in errors.ts, and of key service, blob store and queue. */
export function acceptor(spool: Spool): (arrival: Arrival) => Promise<MessageId> {
  const { telemetry, clock, log } = spool;
  const run = steps(telemetry, [
    { name: 'ingress.check', run: (arrival: Arrival) => check(arrival, clock.now()) },
    { name: 'ingress.seal', run: (checked: Checked) => seal(checked, spool) },
    { name: 'ingress.ticket', run: (sealed: Sealed) => ticket(sealed, spool) },
    { name: 'ingress.store', run: (ticketed: Ticketed) => store(ticketed, spool) },
    {
      name: 'ingress.publish',
      kind: 'producer',
      attributes: (stored: Ticketed) => messaging('publish', 'crypto', [stored]),
      run: (stored: Ticketed) => publish(stored, spool),
    },
  ]);
  return (arrival) => {
    const { direction, admission, envelope } = arrival;
    const { source } = admission;
    const count = envelope.recipients.length;
    const started = performance.now();
    return telemetry.span(
      'ingress.accept',
      { direction, source, recipients: count },
      async (set) => {
        const { id, tenant, message } = await run(arrival);
        const bytes = message.length;
        set({ message: id, tenant, bytes });
        log.event('message.accepted', { direction, tenant, message: id, source, bytes, count });
        telemetry.count('sealpost_messages_accepted_total', { direction, tenant });
        telemetry.observe('sealpost_message_bytes', bytes, { direction });
        telemetry.observe('sealpost_accept_seconds', (performance.now() - started) / 1000, { direction });
        return id;
      },
      { parent: 'none', kind: 'server' },
    );
  };
}

function check(arrival: Arrival, now: Date): Checked {
  const { admission, envelope, message } = arrival;
  const fields = checkHeaders(message);
  const addresses = envelope.recipients.map(({ address }) => address);
  const { tenant, headerFrom } = admission.ownerOf(fields, addresses);
  const id = newMessageId(now);
  const received = receivedField({ ...arrival.trace, id, now });
  const { secretField } = admission;
  return {
    arrival,
    id,
    tenant,
    acceptedAt: now,
    envelope: { ...envelope, headerFrom },
    message: Buffer.concat([received, ...(secretField ? without(secretField, fields, message) : [message])]),
  };
}

/** The message without the fields of that name. */
function without(name: string, fields: readonly HeaderField[], message: Buffer): Buffer[] {
  const header = fields.reduce((length, { raw }) => length + raw.length, 0);
  return [...fields.filter((field) => field.name !== name).map(({ raw }) => raw), message.subarray(header)];
}

async function seal(checked: Checked, { keys, sessions }: Spool): Promise<Sealed> {
  const { tenant, id, envelope, message } = checked;
  const { keyId, publicKey } = await keys.spoolPublicKey(tenant, 'crypto');
  return {
    ...checked,
    keyId,
    blob: sealMessage({ envelope, message }, { keyId, tenant, id, stage: 'crypto' }, publicKey, sessions),
  };
}

async function ticket(sealed: Sealed, { keys }: Spool): Promise<Ticketed> {
  const { arrival, tenant, id, envelope, acceptedAt, keyId, blob } = sealed;
  const signed = signTicket(
    {
      kind: 'crypto',
      tenant,
      id,
      direction: arrival.direction,
      source: arrival.admission.source,
      envelopeHash: envelopeHash(envelope),
      acceptedAt,
      issuedAt: acceptedAt,
      blobHash: createHash('sha256').update(blob).digest(),
      keyId,
      previous: Buffer.alloc(0),
    },
    await keys.ticketSigner(),
  );
  return { ...sealed, ticket: signed };
}

async function store(ticketed: Ticketed, { blobs }: Spool): Promise<Ticketed> {
  await blobs.put(ticketed.id, ticketed.blob);
  return ticketed;
}

async function publish(stored: Ticketed, { blobs, publisher, telemetry }: Spool): Promise<Ticketed> {
  const { id, tenant } = stored;
  const trace = telemetry.current();
  try {
    await publisher.publish([{ v: 1, id, tenant, ticket: ticketText(stored.ticket), ...(trace ? { trace } : {}) }]);
  } catch (error) {
    // Only where the queue said no is it sure that there is no job. After a silence there may be one, and a job
    // without its blob is an alert; a blob without its job is swept.
    if (codeOf(error) === 'queue-full') await blobs.remove(id).catch(() => undefined);
    throw error;
  }
  return stored;
}
