// Somebody who can read and write Redis and the blob store and holds no stage's key. They know our code and our formats, and the
// public spool keys; they make keys and certificates of their own.

import { createHash, generateKeyPairSync } from 'node:crypto';
import {
  type CryptoJob,
  type DeliveryJob,
  envelopeHash,
  type QuarantineEntry,
  type QueuedJob,
  readCryptoJob,
  readDeliveryJob,
  readFrame,
  type StageName,
  sealMessage,
  signTicket,
  TICKET_PURPOSE,
  type Ticket,
  type TicketSigner,
  tenantId,
  ticketText,
} from '@sealpost/core';
import { connectRedis, cryptoStage, deliveryStage, openBlobs, redisQuarantine, type SpoolBlobs } from '@sealpost/queue';
import { connectKeyService } from '@sealpost/service';
import { issueCertificate } from '@sealpost/smime';
import type { TestInstallation } from './installation.ts';
import { configOf } from './operating.ts';

export const mallory = 'mallory@evil.test';
const tenant = tenantId('alpha-test');

export type StageJob = { readonly crypto: CryptoJob; readonly delivery: DeliveryJob };

export interface Attacker {
  readonly blobs: SpoolBlobs;
  /** The job as it is in Redis now. */
  job<S extends StageName>(stage: S, id: string): Promise<StageJob[S] | undefined>;
  /** Writes into the job that has this id, whatever the data says. */
  overwrite(stage: StageName, id: string, data: object | string): Promise<void>;
  /** Adds a job, whatever it says. */
  publish(
    stage: StageName,
    job: QueuedJob & { readonly settled?: unknown; readonly attempts?: unknown },
  ): Promise<void>;
  /** From quarantine back to work, as the CLI does it, with or without something that looks like a release. */
  requeue(id: string, release?: string): Promise<boolean>;
  quarantined(id: string): Promise<QuarantineEntry | undefined>;
  /** Removes what the stages remember of finished work. */
  forgetMarks(): Promise<void>;
  mark(name: string): Promise<void>;
  /** A blob that says what the attacker wants, sealed for the stage. */
  sealed(stage: StageName, id: string): Promise<Sealed>;
  close(): Promise<void>;
}

export interface Sealed {
  readonly blob: Buffer;
  /** What a ticket for it would have to say. */
  readonly ticket: Ticket;
}

const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest();

export async function attackerOf(gateway: TestInstallation): Promise<Attacker> {
  const { redis, blobs: store, keyService } = configOf(gateway);
  const link = await connectRedis(redis, { event: () => undefined });
  const blobs = await openBlobs(store, link);
  const quarantine = redisQuarantine(link, blobs);
  const publishers = { crypto: cryptoStage(link).publisher(), delivery: deliveryStage(link).publisher() };
  const readers = { crypto: readCryptoJob, delivery: readDeliveryJob };
  const publicKeys = connectKeyService(keyService, 'ingress', 'attacker');
  const keyOf = (stage: StageName, id: string): string => `{sealpost}:${stage}:${id}`;
  return {
    blobs,
    async job<S extends StageName>(stage: S, id: string) {
      const data = await link.client.hget(keyOf(stage, id), 'data');
      return data === null ? undefined : (readers[stage](JSON.parse(data)) as StageJob[S]);
    },
    async overwrite(stage, id, data) {
      await link.client.hset(keyOf(stage, id), 'data', typeof data === 'string' ? data : JSON.stringify(data));
    },
    publish: (stage, job) => publishers[stage].publish([job as CryptoJob & DeliveryJob]),
    requeue: (id, release) => quarantine.requeue(id, release),
    quarantined: (id) => quarantine.get(id),
    async forgetMarks() {
      for (const key of await link.client.keys('sealpost:mark:*')) await link.client.del(key);
    },
    async mark(name) {
      await link.client.set(`sealpost:mark:${name}`, '1');
    },
    async sealed(stage, id) {
      const { keyId, publicKey } = await publicKeys.spoolPublicKey(tenant, stage);
      const envelope = {
        mailFrom: 'alice@alpha.test',
        headerFrom: 'alice@alpha.test',
        recipients: [{ address: mallory }],
        eightBit: false,
        smtpUtf8: false,
        salt: 'salt',
      };
      const message = Buffer.from('From: alice@alpha.test\r\nTo: mallory@evil.test\r\n\r\nforged\r\n');
      const blob = sealMessage({ envelope, message }, { keyId, tenant, id, stage }, publicKey);
      const now = new Date();
      const ticket: Ticket = {
        kind: stage,
        tenant,
        id,
        direction: 'outbound',
        source: 'loopback-alpha-test',
        envelopeHash: envelopeHash(envelope),
        acceptedAt: now,
        issuedAt: now,
        blobHash: sha256(blob),
        keyId,
        previous: Buffer.alloc(stage === 'crypto' ? 0 : 32),
      };
      return { blob, ticket };
    },
    async close() {
      await Promise.all([publishers.crypto.close(), publishers.delivery.close(), publicKeys.close()]);
      await blobs.close();
      await link.close();
    },
  };
}

/** A key of the attacker's own under a certificate that says what a stage's does. */
export function selfMadeSigner(role: TicketSigner['role']): TicketSigner {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const certificate = issueCertificate({
    subject: { commonName: 'Sealpost service CA' },
    uris: [`sealpost://ticket/${role}/forged`],
    publicKey,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3_600_000),
    profile: { purpose: TICKET_PURPOSE },
    issuer: { certificate: 'self', privateKey },
  });
  return { role, certificate: certificate.der, privateKey };
}

/** A key of the attacker's own under a genuine certificate, copied from a ticket in Redis. */
export function copiedSigner({ ticket }: { readonly ticket: string }, role: TicketSigner['role']): TicketSigner {
  const certificate = readFrame(Buffer.from(ticket, 'base64url'), 13).fields[12] ?? Buffer.alloc(0);
  return { role, certificate, privateKey: generateKeyPairSync('ed25519').privateKey };
}

export function forgedTicket(ticket: Ticket, signer: TicketSigner): string {
  return ticketText(signTicket(ticket, signer));
}
