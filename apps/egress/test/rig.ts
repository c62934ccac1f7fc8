// The egress pipeline on memory twins of store, marks and key service, with real SMTP behind it: one delivery in, what came of it out.

import { createHash } from 'node:crypto';
import {
  type Claim,
  type DeliveryId,
  type DeliveryJob,
  type Direction,
  deliveryId,
  type Envelope,
  type EventFields,
  type EventName,
  envelopeHash,
  type KeyService,
  type Log,
  newMessageId,
  type Outcome,
  type Publisher,
  type ServiceRole,
  sealMessage,
  signTicket,
  type Ticket,
  tenantId,
  ticketText,
} from '@sealpost/core';
import { memoryBlobs, memoryMarks, type SpoolBlobs } from '@sealpost/queue';
import type { RouteConfig, Telemetry } from '@sealpost/service';
import { type ManualClock, type MemoryKeyService, manualClock, memoryKeyService } from '@sealpost/testkit';
import { connect, type Peer } from '../src/connection.ts';
import { type NextHop, nextHop } from '../src/next-hop.ts';
import { deliver } from '../src/pipeline.ts';
import { type Waiting, waiting } from '../src/waiting.ts';

export const tenant = tenantId('alpha');
const hourMs = 3_600_000;
export const maxAgeMs = 120 * hourMs;

export const mail = Buffer.from(
  'Received: from a by b\r\nFrom: alice@alpha.test\r\nTo: bob@beta.test\r\nSubject: hello\r\n' +
    'Message-ID: <1@alpha.test>\r\n\r\nThe secret body.\r\n',
);

export const usualEnvelope: Envelope = {
  mailFrom: 'alice@alpha.test',
  headerFrom: 'alice@alpha.test',
  recipients: [{ address: 'bob@beta.test' }],
  eightBit: false,
  smtpUtf8: false,
  salt: 'salt',
};

export type RouteTo = Partial<RouteConfig> & { readonly nextHop: { readonly host: string; readonly port: number } };

export const route = ({ nextHop: { host, port }, ...more }: RouteTo): RouteConfig => ({
  name: 'all',
  tls: 'off',
  connections: 10,
  messagesPerConnection: 100,
  idleSeconds: 15,
  recipientsPerTransaction: 100,
  bytesInFlight: 128 * 1024 * 1024,
  ...more,
  nextHop: { host, port },
});

export interface Mailing {
  readonly envelope?: Partial<Envelope>;
  readonly message?: Buffer;
  readonly direction?: Direction;
  readonly acceptedAt?: Date;
  /** Changes the ticket before it is signed. */
  readonly ticket?: Partial<Ticket>;
  /** The stage that signs it. */
  readonly signer?: ServiceRole;
}

export interface Rig extends AsyncDisposable {
  readonly clock: ManualClock;
  readonly keys: KeyService;
  readonly keyService: MemoryKeyService;
  readonly blobs: SpoolBlobs;
  /** Reports that were published. */
  readonly published: DeliveryJob[];
  readonly log: Log;
  readonly events: { readonly name: EventName; readonly fields: EventFields }[];
  /** How often each metric was counted, by `name{labels}`. */
  readonly waiting: Waiting;
  readonly counts: Map<string, number>;
  readonly hops: readonly NextHop[];
  /** Seals and tickets a delivery as a crypto worker does. */
  post(mailing?: Mailing): Promise<DeliveryJob>;
  run(job: DeliveryJob, claim?: Partial<Claim>): Promise<Outcome<DeliveryJob>>;
  /** `run` again with what the outcome says, as long as it says later; the clock goes along. */
  runToEnd(job: DeliveryJob): Promise<{ outcome: Outcome<DeliveryJob>; tries: number }>;
}

export interface RigOptions {
  readonly routes: readonly RouteTo[];
  readonly peer?: Partial<Peer>;
  readonly delayNoticeMs?: number;
  readonly publisher?: Partial<Publisher<DeliveryJob>>;
  readonly clock?: ManualClock;
  readonly share?: number;
}

export function rig({
  routes,
  peer,
  delayNoticeMs = 4 * hourMs,
  publisher,
  clock = manualClock(),
  share = 20,
}: RigOptions): Rig {
  const keyService = memoryKeyService(clock);
  const keys = keyService.as('egress');
  const worker = keyService.as('crypto-worker');
  const blobs = memoryBlobs();
  const published: DeliveryJob[] = [];
  const events: Rig['events'] = [];
  const counts: Rig['counts'] = new Map();
  const log: Log = { event: (name, fields = {}) => void events.push({ name, fields }) };
  const telemetry: Telemetry = {
    span: (_name, _attributes, run) => run(() => {}),
    current: () => undefined,
    count: (metric, ...[labels]) => {
      const key = `${metric}${JSON.stringify(labels)}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    },
    observe: () => {},
    gauge: () => {},
  };
  const hops = routes.map((to) => {
    const config = route(to);
    const open = () =>
      connect({ ...config.nextHop, helloName: 'gw.test', tls: config.tls, connectMs: 2_000, replyMs: 5_000, ...peer });
    return nextHop(config, { clock, telemetry, random: () => 0.5, share, open });
  });
  const line = waiting();
  const handle = deliver({
    keys,
    blobs,
    marks: memoryMarks(clock),
    publisher: {
      publish: async (jobs) => void published.push(...jobs),
      has: async (id) => published.some((job) => job.id === id),
      close: async () => {},
      ...publisher,
    },
    clock,
    log,
    telemetry,
    random: () => 0.5,
    hops,
    waiting: line,
    installation: 'gw.test',
    ticketLifeMs: 2 * maxAgeMs,
    markLifeMs: 2 * maxAgeMs,
    rules: { maxAgeMs, delayNoticeMs },
  });
  const run = (job: DeliveryJob, claim: Partial<Claim> = {}) =>
    handle(job, { isHeld: async () => true, diedBefore: 0, ...claim }, () => undefined);

  return {
    clock,
    waiting: line,
    keys,
    keyService,
    blobs,
    published,
    log,
    events,
    counts,
    hops,
    async post({
      envelope: changes = {},
      message = mail,
      direction = 'outbound',
      acceptedAt,
      ticket = {},
      signer = 'crypto-worker',
    } = {}) {
      const envelope = { ...usualEnvelope, ...changes };
      const id = deliveryId(newMessageId(clock.now()), 'g0');
      const { keyId, publicKey } = await worker.spoolPublicKey(tenant, 'delivery');
      const sealed = sealMessage({ envelope, message }, { keyId, tenant, id, stage: 'delivery' }, publicKey);
      await blobs.put(id, sealed);
      const signed = signTicket(
        {
          kind: 'delivery',
          tenant,
          id,
          direction,
          source: 'office',
          envelopeHash: envelopeHash(envelope),
          acceptedAt: acceptedAt ?? clock.now(),
          issuedAt: clock.now(),
          blobHash: createHash('sha256').update(sealed).digest(),
          keyId,
          previous: Buffer.alloc(32),
          ...ticket,
        },
        await keyService.as(signer).ticketSigner(),
      );
      return { v: 1, id, tenant, ticket: ticketText(signed), settled: [], attempts: 0 };
    },
    run,
    async runToEnd(first) {
      let job = first;
      for (let tries = 1; ; tries++) {
        const outcome = await run(job);
        if (outcome.kind !== 'later') return { outcome, tries };
        if (outcome.at > clock.now()) clock.set(outcome.at);
        job = outcome.job;
      }
    },
    async [Symbol.asyncDispose]() {
      for (const hop of hops) hop.destroy();
    },
  };
}

/** A delivery's id that no store has. */
export const strangeId = (clock: ManualClock): DeliveryId => deliveryId(newMessageId(clock.now()), 'g9');
