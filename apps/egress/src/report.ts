// Delivery reports (RFC 3464) as mail of our own: sealed and ticketed like every delivery, null sender, the other direction. Each
// recipient is reported on once for each action; the marks outlive the job.

import { isAscii } from 'node:buffer';
import { createHash, randomBytes } from 'node:crypto';
import {
  type BlobStore,
  type Clock,
  composeDsn,
  type DeliveryJob,
  deliveryId,
  type Envelope,
  envelopeHash,
  envelopeSalt,
  type KeyService,
  type Marks,
  messageOf,
  type Publisher,
  sealMessage,
  signTicket,
  type TraceContext,
  ticketBytes,
  ticketHash,
  ticketText,
} from '@sealpost/core';
import type { Mail, Notice } from './delivery.ts';

export interface ReportTools {
  readonly keys: Pick<KeyService, 'ticketSigner' | 'spoolPublicKey'>;
  readonly blobs: Pick<BlobStore, 'put' | 'remove'>;
  readonly publisher: Publisher<DeliveryJob>;
  readonly marks: Marks;
  readonly clock: Clock;
  /** Host name of the gateway. */
  readonly installation: string;
  /** A mark has to outlive the job that it guards. */
  readonly markLifeMs: number;
}

/** Publishes one report about all of these; durable when it resolves. Errors: those of the store, the queue and the key service. */
export async function report(
  {
    job,
    mail,
    notices,
    trace,
  }: {
    readonly job: DeliveryJob;
    readonly mail: Mail;
    readonly notices: readonly Notice[];
    readonly trace: TraceContext | undefined;
  },
  tools: ReportTools,
): Promise<void> {
  const { marks, markLifeMs } = tools;
  const markOf = ({ at, dsn }: Notice) => `report-${job.id}-${at}-${dsn.action}`;
  const told = await Promise.all(notices.map((notice) => marks.has(markOf(notice))));
  const untold = notices.filter((_, index) => !told[index]);
  if (untold.length === 0) return;

  await publish(job, mail, untold, trace, tools);
  await Promise.all(untold.map((notice) => marks.set(markOf(notice), markLifeMs)));
}

async function publish(
  job: DeliveryJob,
  mail: Mail,
  notices: readonly Notice[],
  trace: TraceContext | undefined,
  { keys, blobs, publisher, clock, installation }: ReportTools,
): Promise<void> {
  const { tenant } = job;
  const now = clock.now();
  // A new id each time: a second try must not replace the blob of a report that is queued already.
  const id = deliveryId(messageOf(job.id), `${groupOf(job)}r${job.attempts}${randomBytes(5).toString('hex')}`);
  const message = composeDsn({
    reportingMta: installation,
    from: `postmaster@${installation}`,
    to: mail.envelope.mailFrom,
    recipients: notices.map(({ dsn }) => dsn),
    ...(mail.envelope.envid === undefined ? {} : { envid: mail.envelope.envid }),
    arrivedAt: mail.ticket.acceptedAt,
    now,
    messageId: `${id}@${installation}`,
    originalHeaders: mail.headers,
  });
  const envelope: Envelope = {
    mailFrom: '',
    headerFrom: `postmaster@${installation}`,
    // RFC 3461 §6.3: nobody is told what became of a report.
    recipients: [{ address: mail.envelope.mailFrom, notify: ['NEVER'] }],
    eightBit: !isAscii(message),
    smtpUtf8: !isAscii(Buffer.from(mail.envelope.mailFrom)),
    salt: envelopeSalt(),
  };
  const { keyId, publicKey } = await keys.spoolPublicKey(tenant, 'delivery');
  const sealed = sealMessage({ envelope, message }, { keyId, tenant, id, stage: 'delivery' }, publicKey);
  const ticket = signTicket(
    {
      kind: 'delivery',
      tenant,
      id,
      direction: mail.ticket.direction === 'outbound' ? 'inbound' : 'outbound',
      source: 'gateway',
      envelopeHash: envelopeHash(envelope),
      // A report is mail of its own and has its own time to wait.
      acceptedAt: now,
      issuedAt: now,
      blobHash: createHash('sha256').update(sealed).digest(),
      keyId,
      previous: ticketHash(ticketBytes(job)),
    },
    await keys.ticketSigner(),
  );
  await blobs.put(id, sealed);
  try {
    const base = { v: 1, id, tenant, ticket: ticketText(ticket), settled: [], attempts: 0 } as const;
    await publisher.publish([trace ? { ...base, trace } : base]);
  } catch (error) {
    await blobs.remove(id).catch(() => {});
    throw error;
  }
}

function groupOf({ id }: DeliveryJob): string {
  return id.slice(id.indexOf('-') + 1);
}
