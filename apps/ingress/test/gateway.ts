// An ingress for tests: both listeners on free loopback ports, in front of a real Redis or of memory, with a key service whose
// private half the test holds, so that it can read what was queued.

import { createHash } from 'node:crypto';
import {
  type BlobStore,
  type CryptoJob,
  type Envelope,
  type EventFields,
  type EventName,
  envelopeHash,
  fail,
  type KeyService,
  openMessage,
  type Publisher,
  readCryptoJob,
  type Ticket,
  ticketBytes,
  ticketVerifier,
} from '@sealpost/core';
import { memoryBlobs, type RedisLink } from '@sealpost/queue';
import { type CounterName, type Installation, installation, startTelemetry } from '@sealpost/service';
import { connectSmtp, memoryKeyService, type SmtpReply, type SmtpSource } from '@sealpost/testkit';
import { type Backing, openIngress, type RunningIngress } from '../src/open-ingress.ts';
import type { Pace } from '../src/session.ts';

/** What the queue of this ingress holds. */
export interface Queued {
  readonly envelope: Envelope;
  /** Without the Received field that the ingress put on top. */
  readonly message: string;
  readonly received: string;
  readonly ticket: Ticket;
  readonly job: CryptoJob;
}

export interface TestGateway extends AsyncDisposable {
  readonly ingress: RunningIngress;
  readonly keys: TestKeys;
  readonly events: readonly { readonly name: EventName; readonly fields: EventFields }[];
  /** What a counter stands at, by its labels in the order in which they were given. */
  counted(metric: CounterName, ...labels: readonly string[]): number;
  outbound(localAddress?: string): Promise<SmtpSource>;
  inbound(localAddress?: string): Promise<SmtpSource>;
}

export interface GatewayOptions {
  /** Over the section `ingress` of the test's installation. */
  readonly outbound?: object;
  readonly inbound?: object;
  readonly limits?: object;
  readonly tls?: object;
  readonly tenants?: readonly object[];
  readonly pace?: Partial<Pace>;
  readonly keys?: TestKeys;
  readonly backing?: Partial<Pick<Backing, 'blobs' | 'publisher' | 'isReady' | 'close'>>;
}

/** The source of 127.0.0.1 in the tests' installation. */
export const alpha = { name: 'alpha-mail', tenant: 'alpha', networks: ['127.0.0.1/32'], domains: ['alpha.test'] };

export async function startGateway(options: GatewayOptions = {}): Promise<TestGateway> {
  const listen = { host: '127.0.0.1', port: 0 };
  const config: Installation = installation.parse({
    installation: 'gateway.test',
    keyService: { url: 'https://127.0.0.1:1', caFile: '/none', credentials: '/none' },
    tenants: options.tenants ?? [
      { id: 'alpha', domains: ['alpha.test'] },
      { id: 'beta', domains: ['beta.test'] },
    ],
    ingress: {
      outbound: { listen, startTls: 'off', sources: [alpha], ...options.outbound },
      inbound: { listen, startTls: 'off', ...options.inbound },
      limits: { knockMs: 0, ...options.limits },
      ...(options.tls ? { tls: options.tls } : {}),
    },
    keyServer: { directory: '/none', slot: { kind: 'passphrase' }, audit: { file: '/none' } },
    egress: { routes: [] },
  });
  const keys = options.keys ?? testKeys();
  const memory = memoryQueue();
  const events: { name: EventName; fields: EventFields }[] = [];
  const counts = new Map<string, number>();
  const ingress = await openIngress(
    {
      config,
      log: { event: (name, fields = {}) => void events.push({ name, fields }) },
      clock: { now: () => new Date() },
      telemetry: {
        ...startTelemetry(config.telemetry, { role: 'ingress', instance: 'test' }),
        count: (metric, ...[labels = {}, by = 1]) => {
          const name = [metric, ...Object.values(labels)].join(' ');
          counts.set(name, (counts.get(name) ?? 0) + by);
        },
      },
      instance: 'test',
    },
    {
      keys: keys.service,
      blobs: memory.blobs,
      publisher: memory.publisher,
      isReady: () => true,
      close: async () => undefined,
      ...options.backing,
    },
    options.pace,
  );
  return {
    ingress,
    keys,
    events,
    counted: (metric, ...labels) => counts.get([metric, ...labels].join(' ')) ?? 0,
    outbound: (localAddress) => connect(ingress.outbound.port, localAddress),
    inbound: (localAddress) => connect(ingress.inbound.port, localAddress),
    [Symbol.asyncDispose]: () => ingress.stop(2_000),
  };
}

function connect(port: number, localAddress?: string): Promise<SmtpSource> {
  return connectSmtp({ host: '127.0.0.1', port, ...(localAddress === undefined ? {} : { localAddress }) });
}

export interface TestKeys {
  readonly service: KeyService;
  /** From now on every call fails so; undefined ends that. */
  failWith(code: 'key-service-unavailable' | 'key-service-sealed' | undefined): void;
  /** Opens what a job names, as the crypto worker would: ticket, blob hash and seal are checked on the way. */
  open(job: CryptoJob, blobs: BlobStore): Promise<Queued>;
}

/** A key service in memory that can be out of reach before anything was fetched from it. */
export function testKeys(): TestKeys {
  const memory = memoryKeyService({ now: () => new Date() });
  const ingress = memory.as('ingress');
  let failure: 'key-service-unavailable' | 'key-service-sealed' | undefined;
  const available = async (): Promise<void> => {
    if (failure) throw fail(failure);
  };
  return {
    service: {
      ...ingress,
      ticketSigner: () => available().then(() => ingress.ticketSigner()),
      spoolPublicKey: (tenant, stage) => available().then(() => ingress.spoolPublicKey(tenant, stage)),
    },
    failWith(code) {
      failure = code;
    },
    open: (job, blobs) => openAs(memory.as('crypto-worker'), job, blobs),
  };
}

async function openAs(worker: KeyService, job: CryptoJob, blobs: BlobStore): Promise<Queued> {
  const { id, tenant } = job;
  const verifier = ticketVerifier(await worker.ticketAuthorities(), 3_600_000);
  const ticket = verifier.verify(ticketBytes(job), { kind: 'crypto', tenant, id }, new Date());
  const blob = await blobs.get(id);
  if (!blob) throw new Error('The job has no blob');
  const hash = createHash('sha256').update(blob).digest();
  if (!hash.equals(ticket.blobHash)) throw new Error('The blob is not the one that the ticket names');
  const context = { keyId: ticket.keyId, tenant, id, stage: 'crypto' } as const;
  const { envelope, message } = openMessage(blob, context, await worker.spoolPrivateKey(ticket.keyId));
  if (!envelopeHash(envelope).equals(ticket.envelopeHash)) throw new Error('The envelope is not the ticket’s');
  const text = message.toString('latin1');
  const [received = ''] = /^Received:.*?\r\n(?![ \t])/s.exec(text) ?? [];
  return { envelope, message: text.slice(received.length), received, ticket, job };
}

export interface MemoryQueue {
  readonly blobs: BlobStore & { readonly ids: () => string[] };
  readonly publisher: Publisher<CryptoJob>;
  readonly jobs: CryptoJob[];
}

/** Blobs and jobs in memory, with a list of what is there. */
export function memoryQueue(): MemoryQueue {
  const store = memoryBlobs();
  const ids = new Set<string>();
  const jobs: CryptoJob[] = [];
  return {
    jobs,
    blobs: {
      ...store,
      ids: () => [...ids],
      async put(id, bytes) {
        await store.put(id, bytes);
        ids.add(id);
      },
      async remove(id) {
        await store.remove(id);
        ids.delete(id);
      },
    },
    publisher: {
      publish: async (more) => void jobs.push(...more),
      has: async (id) => jobs.some((job) => job.id === id),
      close: async () => undefined,
    },
  };
}

/** The job under that id as it is in Redis. */
export async function jobInRedis(redis: RedisLink, id: string): Promise<CryptoJob> {
  const data = await redis.client.hget(`{sealpost}:crypto:${id}`, 'data');
  return readCryptoJob(JSON.parse(data ?? 'null'));
}

/** The id that a 250 names. */
export function idIn(reply: SmtpReply | undefined): string {
  const id = /^250 2\.0\.0 Ok: queued as (m[0-9a-f]{31})$/.exec(reply?.text ?? '')?.[1];
  if (id === undefined) throw new Error(`Not accepted: ${reply?.text}`);
  return id;
}

/** A small message by an author. */
export function mail(from = 'Alice <alice@alpha.test>', body = 'Hello\r\n'): string {
  return `From: ${from}\r\nTo: bob@beta.test\r\nSubject: test\r\nMessage-ID: <1@alpha.test>\r\n\r\n${body}`;
}
