// What the pipeline tests run on: real Redis, real files for blobs, the real queue, the key service's memory twin. The test plays
// ingress (submit) and egress (deliveries).

import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Clock,
  type CryptoJob,
  type DeliveryJob,
  type Direction,
  type Envelope,
  type EventFields,
  type EventName,
  envelopeHash,
  type Log,
  type MessageId,
  newMessageId,
  openMessage,
  type QuarantineEntry,
  readDeliveryJob,
  sealMessage,
  signTicket,
  type TenantPolicy,
  type Ticket,
  tenantId,
  ticketBytes,
  ticketText,
  ticketVerifier,
} from '@sealpost/core';
import {
  connectRedis,
  cryptoStage,
  deliveryStage,
  fileBlobs,
  type RedisLink,
  redisMarks,
  redisQuarantine,
  type SpoolBlobs,
} from '@sealpost/queue';
import { type CounterName, spoolSessions, startTelemetry } from '@sealpost/service';
import { type MemoryKeyService, memoryKeyService, startRedis, temporaryDirectory } from '@sealpost/testkit';
import { cryptoHandler } from '../src/pipeline.ts';
import { tickets } from '../src/tickets.ts';
import type { Worker } from '../src/worker.ts';

export const alpha = tenantId('alpha');
export const beta = tenantId('beta');
/** Five days in the queue and thirty in quarantine. */
export const ticketLifeMs = 35 * 24 * 60 * 60_000;

export const usualPolicy: TenantPolicy = {
  outbound: {
    sign: 'if-possible',
    withoutCertificate: 'plain',
    exempt: ['calendar', 'report', 'auto-reply', 'pgp', 'protected'],
  },
  inbound: {
    clearSigned: 'keep',
    footer: { verified: 'Signature valid.', unverified: 'Signature NOT valid.', unsigned: 'Not signed.' },
    subjectTag: { verified: '', decrypted: '' },
  },
};

export interface Mail {
  readonly direction: Direction;
  readonly from?: string;
  readonly mailFrom?: string;
  readonly to: readonly string[];
  readonly message: Buffer | string;
  readonly tenant?: typeof alpha;
  readonly envelope?: Partial<Envelope>;
}

/** What a delivery holds once the egress opened it. */
export interface Delivered {
  readonly id: string;
  readonly ticket: Ticket;
  readonly envelope: Envelope;
  readonly message: Buffer;
}

export interface Gateway extends AsyncDisposable {
  readonly worker: Worker;
  readonly keys: MemoryKeyService;
  readonly blobs: SpoolBlobs;
  readonly redis: RedisLink;
  readonly redisPort: number;
  readonly blobDirectory: string;
  readonly events: readonly { readonly name: EventName; readonly fields: EventFields }[];
  /** What a counter stands at, by its labels in the order in which they were given. */
  counted(metric: CounterName, ...labels: readonly string[]): number;
  policy: TenantPolicy;
  /** The job as ingress would publish it, its blob stored. */
  prepare(mail: Mail): Promise<CryptoJob>;
  publish(job: CryptoJob): Promise<void>;
  /** Publishes the mail and waits until the worker is done with it. */
  send(mail: Mail): Promise<Delivered[]>;
  /** Waits for the end of a job: its deliveries, or its quarantine entry. */
  settled(id: MessageId): Promise<Settled>;
  deliveries(id: MessageId): Promise<Delivered[]>;
  /** Runs the worker in this process; `changed` takes the place of some of its parts. */
  run(changed?: Partial<Worker>): void;
  release(job: CryptoJob): Promise<boolean>;
  stopWorker(): Promise<void>;
}

export interface Settled {
  readonly deliveries: readonly Delivered[];
  readonly quarantined?: QuarantineEntry;
}

export async function startGateway(clock: Clock = { now: () => new Date() }): Promise<Gateway> {
  const [server, directory] = await Promise.all([startRedis(), temporaryDirectory()]);
  const events: { name: EventName; fields: EventFields }[] = [];
  const log: Log = { event: (name, fields = {}) => void events.push({ name, fields }) };
  const redis = await connectRedis({ host: server.host, port: server.port, acceptRisks: [] }, log);
  const blobs = await fileBlobs(directory.path);
  const keys = memoryKeyService(clock);
  const service = keys.as('crypto-worker');
  const ingress = keys.as('ingress');
  const egress = keys.as('egress');
  const telemetry = startTelemetry({ sampleRatio: 1 }, { role: 'crypto-worker', instance: 'test' });
  const stage = cryptoStage(redis);
  const publisher = stage.publisher();
  const deliveryPublisher = deliveryStage(redis).publisher();
  const quarantine = redisQuarantine(redis, blobs);
  const policies = new Map([
    [alpha, usualPolicy],
    [beta, usualPolicy],
  ]);
  const worker: Worker = {
    installation: 'gateway.test',
    policies,
    maxAgeMs: 5 * 24 * 60 * 60_000,
    ticketLifeMs,
    keys: service,
    sessions: spoolSessions(),
    tickets: tickets(service, ticketLifeMs),
    blobs,
    marks: redisMarks(redis),
    deliveries: deliveryPublisher,
    clock,
    log,
    telemetry: {
      ...telemetry,
      count: (metric, ...[labels = {}, by = 1]) => {
        const name = [metric, ...Object.values(labels)].join(' ');
        counts.set(name, (counts.get(name) ?? 0) + by);
      },
    },
  };
  const counts = new Map<string, number>();
  let consumer: ReturnType<typeof stage.consume> | undefined;

  async function prepare(mail: Mail): Promise<CryptoJob> {
    const tenant = mail.tenant ?? (mail.direction === 'outbound' ? alpha : beta);
    const envelope: Envelope = {
      mailFrom: mail.mailFrom ?? mail.from ?? 'alice@alpha.test',
      headerFrom: mail.direction === 'outbound' ? (mail.from ?? 'alice@alpha.test') : '',
      recipients: mail.to.map((address) => ({ address })),
      eightBit: false,
      smtpUtf8: false,
      salt: 'salt',
      ...mail.envelope,
    };
    const id = newMessageId(clock.now());
    const { keyId, publicKey } = await ingress.spoolPublicKey(tenant, 'crypto');
    const message = typeof mail.message === 'string' ? Buffer.from(mail.message) : mail.message;
    const blob = sealMessage({ envelope, message }, { keyId, tenant, id, stage: 'crypto' }, publicKey);
    await blobs.put(id, blob);
    const ticket = signTicket(
      {
        kind: 'crypto',
        tenant,
        id,
        direction: mail.direction,
        source: mail.direction === 'outbound' ? 'office' : 'world',
        envelopeHash: envelopeHash(envelope),
        acceptedAt: clock.now(),
        issuedAt: clock.now(),
        blobHash: createHash('sha256').update(blob).digest(),
        keyId,
        previous: Buffer.alloc(0),
      },
      await ingress.ticketSigner(),
    );
    return { v: 1, id, tenant, ticket: ticketText(ticket) };
  }

  /** Opens a queued delivery as the egress would, with every check. */
  async function opened(job: DeliveryJob): Promise<Delivered> {
    const verifier = ticketVerifier(await egress.ticketAuthorities(), ticketLifeMs);
    const expected = { kind: 'delivery', tenant: job.tenant, id: job.id } as const;
    const ticket = verifier.verify(ticketBytes(job), expected, clock.now());
    const blob = await blobs.get(job.id);
    if (!blob || !createHash('sha256').update(blob).digest().equals(ticket.blobHash)) throw new Error('blob');
    const context = { keyId: ticket.keyId, tenant: job.tenant, id: job.id, stage: 'delivery' } as const;
    const { envelope, message } = openMessage(blob, context, await egress.spoolPrivateKey(ticket.keyId));
    if (!envelopeHash(envelope).equals(ticket.envelopeHash)) throw new Error('envelope');
    return { id: job.id, ticket, envelope, message };
  }

  async function deliveries(id: MessageId): Promise<Delivered[]> {
    const keysOfJobs = await redis.client.keys(`{sealpost}:delivery:${id}-*`);
    const jobs = await Promise.all(
      keysOfJobs.filter((key) => !key.endsWith(':lock')).map((key) => redis.client.hget(key, 'data')),
    );
    const found = await Promise.all(jobs.map((data) => opened(readDeliveryJob(JSON.parse(data ?? '')))));
    return found.sort((a, b) => a.id.localeCompare(b.id));
  }

  async function settled(id: MessageId): Promise<Settled> {
    for (const deadline = performance.now() + 20_000; performance.now() < deadline; await sleep(10)) {
      const quarantined = await quarantine.get(id);
      if (quarantined) return { deliveries: await deliveries(id), quarantined };
      if ((await redis.client.exists(`{sealpost}:crypto:${id}`)) === 0) return { deliveries: await deliveries(id) };
    }
    throw new Error(`The job did not end: ${JSON.stringify(events.slice(-5))}`);
  }

  const gateway: Gateway = {
    worker,
    keys,
    blobs,
    redis,
    redisPort: server.port,
    blobDirectory: directory.path,
    events,
    get policy() {
      return policies.get(alpha) ?? usualPolicy;
    },
    set policy(policy) {
      policies.set(alpha, policy).set(beta, policy);
    },
    counted: (metric, ...labels) => counts.get([metric, ...labels].join(' ')) ?? 0,
    prepare,
    publish: (job) => publisher.publish([job]),
    async send(mail) {
      const job = await prepare(mail);
      await publisher.publish([job]);
      return [...(await settled(job.id)).deliveries];
    },
    settled,
    deliveries,
    run(changed = {}) {
      consumer = stage.consume(cryptoHandler({ ...worker, ...changed }), {
        concurrency: 2,
        queue: { maxAgeHours: 120, quarantine: { days: 30, maxMessages: 100, maxBytes: 1e9 } },
        blobs,
        clock,
        log,
        timing: { lockMs: 2_000, stalledCheckMs: 500, reconcileMs: 500 },
      });
    },
    async release(job) {
      const ticket = ticketVerifier(await ingress.ticketAuthorities(), ticketLifeMs).verify(
        ticketBytes(job),
        { kind: 'crypto', tenant: job.tenant, id: job.id },
        clock.now(),
      );
      return quarantine.requeue(job.id, ticketText(keys.release({ ...ticket, issuedAt: clock.now() })));
    },
    async stopWorker() {
      await consumer?.close(1_000);
      consumer = undefined;
    },
    async [Symbol.asyncDispose]() {
      await consumer?.close(1_000);
      await Promise.all([publisher.close(), deliveryPublisher.close(), blobs.close(), telemetry.close()]);
      await redis.close();
      await Promise.all([server.stop(), directory.remove()]);
    },
  };
  return gateway;
}
