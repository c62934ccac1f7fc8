// The KeyService port over mTLS. What it learns it keeps in memory only: authorities and spool keys for half a day, so that mail
// which needs no user key flows while the service is away; certificates for a minute; leased keys until they end.

import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  type CertificateRecord,
  codeOf,
  encodeEnvelope,
  fail,
  formatKeyId,
  isOwnerOf,
  type KeyId,
  type KeyLease,
  type KeyService,
  normalAddress,
  parseKeyId,
  type SpoolPublicKey,
  type TicketSigner,
} from '@sealpost/core';
import type { KeyServiceConfig } from './config/key-service-client.ts';
import { type CacheResult, type KeyCache, keyCache, type Remembered } from './key-cache.ts';
import { openKeyConnection } from './key-connection.ts';
import { ed25519Pair, openSealed, privateKeyOf, publicKeyOf } from './key-material.ts';
import { KeyFault } from './key-protocol/faults.ts';
import type { KeyAnswer, KeyOperation, KeyRequestInput } from './key-protocol/operations.ts';
import { leaseBatches } from './lease-batches.ts';
import { ephemeralBytes, type KeyPurpose } from './sealed-key.ts';
import type { Labels } from './telemetry/metric-types.ts';
import type { Telemetry } from './telemetry/telemetry.ts';
import { watchRevocations } from './watch-revocations.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
/** New versions are noticed after this time; the old ones work on. */
const spoolFreshMs = 5 * minuteMs;
/** How long a stage lives through an outage (DESIGN.md). */
const spoolUsableMs = 12 * hourMs;
const certificateFreshMs = minuteMs;
/** An address without certificates may get one at any time, and without one its mail may leave unencrypted. */
const noCertificateFreshMs = 15_000;
/** That a key is not lent is asked anew after this time: the policy may have changed. */
const inPlaceFreshMs = minuteMs;
/** A lease is renewed this long before it ends, so that no message starts with a key that is about to go. */
const leaseMarginMs = 20_000;
const maxCertificates = 20_000;
const maxLeases = 4_096;
const maxSpoolKeys = 2_048;

type CacheName = Labels<'sealpost_key_cache_total'>['cache'];

/** `telemetry`, where given, gets a span for each call. */
export function connectKeyService(
  config: KeyServiceConfig,
  role: 'ingress' | 'crypto-worker' | 'egress',
  instance: string,
  telemetry?: Telemetry,
): KeyService {
  const connection = openKeyConnection(config, role);
  const askLease = leaseBatches(connection, instance);
  const now = (): number => Date.now();
  const cache = <T>(name: CacheName, max: number): KeyCache<T> =>
    keyCache<T>(max, now, (result: CacheResult) =>
      telemetry?.count('sealpost_key_cache_total', { cache: name, result }),
    );
  const signers = cache<TicketSigner>('signer', 1);
  const authorities = cache<readonly Buffer[]>('authorities', 1);
  const spoolPublic = cache<SpoolPublicKey>('spool-public', maxSpoolKeys);
  const spoolPrivate = cache<KeyObject>('spool-private', maxSpoolKeys);
  const markers = cache<readonly Buffer[]>('marker', maxSpoolKeys);
  const records = cache<readonly CertificateRecord[]>('certificates', maxCertificates);
  const anchors = cache<readonly Buffer[]>('anchors', maxSpoolKeys);
  const leases = cache<KeyLease | 'in-place'>('lease', maxLeases);

  function call<O extends KeyOperation>(operation: O, request: KeyRequestInput<O>): Promise<KeyAnswer<O>> {
    return asked(operation, () => connection.call(operation, request, telemetry?.current()));
  }

  async function asked<T>(operation: KeyOperation, ask: () => Promise<T>): Promise<T> {
    try {
      if (!telemetry) return await ask();
      return await telemetry.span('key-service.call', { call: operation }, ask, { kind: 'client' });
    } catch (error) {
      if (!(error instanceof KeyFault)) throw error;
      throw fail(error.code === 'forbidden' ? 'key-denied' : 'internal', error);
    }
  }

  const spoolLife = <T>(value: T): Remembered<T> => ({
    value,
    freshUntil: now() + spoolFreshMs,
    usableUntil: now() + spoolUsableMs,
  });

  /** Asks for one or more keys, sealed to a key pair that lives for this one answer. */
  async function secrets<T>(
    purpose: KeyPurpose,
    ask: (ephemeral: Buffer) => Promise<readonly KeyAnswer<'lease'>[]>,
    use: (secret: Buffer, sealed: KeyAnswer<'lease'>) => T,
  ): Promise<T[]> {
    const { publicKey, privateKey } = generateKeyPairSync('x25519');
    const answers = await ask(ephemeralBytes(publicKey));
    return answers.map((sealed) =>
      openSealed(sealed, { instance, purpose }, privateKey, (secret) => use(secret, sealed)),
    );
  }

  const watch = watchRevocations(connection, instance, {
    drop: (keyId) => leases.drop(keyId),
    sweep: () => leases.sweep(),
  });

  async function leaseOrNot(
    keyId: KeyId,
    ticket: Buffer,
    envelope: Buffer,
  ): Promise<Remembered<KeyLease | 'in-place'>> {
    try {
      const lease = await leaseAnew(keyId, ticket, envelope);
      watch.begin();
      return lease;
    } catch (error) {
      if (codeOf(error) !== 'key-in-place') throw error;
      return { value: 'in-place', freshUntil: now() + inPlaceFreshMs, usableUntil: now() + inPlaceFreshMs };
    }
  }

  async function leaseAnew(keyId: KeyId, ticket: Buffer, envelope: Buffer): Promise<Remembered<KeyLease>> {
    const { sealed, ephemeral } = await asked('lease', () =>
      askLease({ keyId, ticket, envelope, trace: telemetry?.current() }),
    );
    if (sealed.keyId !== keyId) throw fail('key-denied');
    const privateKey = openSealed(sealed, { instance, purpose: 'lease' }, ephemeral, privateKeyOf);
    const lease: KeyLease = { keyId, privateKey, expiresAt: sealed.expiresAt };
    const end = lease.expiresAt.getTime();
    return { value: lease, freshUntil: end - leaseMarginMs, usableUntil: end };
  }

  return {
    ticketSigner: () =>
      signers.get('', async () => {
        const { privateKey, spki } = ed25519Pair();
        const { certificate, notAfter } = await call('ticket-certificate', { instance, publicKey: spki });
        const end = notAfter.getTime();
        // Renewed at half its life: the other half is time for the service to come back.
        return { value: { role, certificate, privateKey }, freshUntil: now() + (end - now()) / 2, usableUntil: end };
      }),
    ticketAuthorities: () => authorities.get('', async () => spoolLife((await call('authorities', {})).certificates)),
    spoolPublicKey: (tenant, stage) =>
      spoolPublic.get(`${tenant} ${stage}`, async () => {
        const { keyId, publicKey } = await call('spool-public-key', { tenant, stage });
        return spoolLife({ keyId: keyId as KeyId, publicKey: publicKeyOf(publicKey) });
      }),
    spoolPrivateKey: (keyId) =>
      spoolPrivate.get(keyId, async () => {
        const [key] = await secrets(
          'spool',
          async (ephemeral) => [await call('spool-private-key', { instance, keyId, ephemeral })],
          privateKeyOf,
        );
        if (!key) throw fail('internal');
        // A version's key never changes: it is asked for again only to be on record anew.
        return { value: key, freshUntil: now() + spoolUsableMs / 2, usableUntil: now() + spoolUsableMs };
      }),
    markerKeys: (tenant) =>
      markers.get(tenant, async () =>
        spoolLife(
          await secrets(
            'marker',
            async (ephemeral) => (await call('marker-keys', { instance, tenant, ephemeral })).keys,
            (secret) => Buffer.from(secret),
          ),
        ),
      ),
    certificates: (tenant, address) =>
      records.get(`${tenant} ${normalAddress(address)}`, async () => {
        const answer = await call('certificates', { tenant, address });
        const found = answer.records.map(recordOf);
        const isEmpty = found.length === 0;
        return {
          value: found,
          freshUntil: now() + (isEmpty ? noCertificateFreshMs : certificateFreshMs),
          // That there was none must not be believed for longer: mail would leave unencrypted for hours.
          usableUntil: now() + (isEmpty ? noCertificateFreshMs : spoolUsableMs),
        };
      }),
    trustAnchors: (tenant) =>
      anchors.get(tenant, async () => {
        const { certificates } = await call('trust-anchors', { tenant });
        return { value: certificates, freshUntil: now() + certificateFreshMs, usableUntil: now() + spoolUsableMs };
      }),
    async lease(keyId, { ticket, envelope }) {
      const name = parseKeyId(keyId);
      // A key that is in memory for one message is not for every other: the service's own check, made again.
      const direction = name.use === 'signing' ? 'outbound' : 'inbound';
      if (!isOwnerOf(name, direction, envelope)) throw fail('key-denied');
      const lease = await leases.get(keyId, () => leaseOrNot(keyId, ticket, encodeEnvelope(envelope)));
      if (lease === 'in-place') throw fail('key-in-place');
      return lease;
    },
    async sign(keyId, { ticket, envelope }, items) {
      const request = { instance, keyId, ticket, envelope: encodeEnvelope(envelope), items: [...items] };
      return answered(items, (await call('sign', request)).signatures);
    },
    async openRecipients(keyId, { ticket, envelope }, items) {
      const request = { instance, keyId, ticket, envelope: encodeEnvelope(envelope), items: [...items] };
      return answered(items, (await call('open-recipient', request)).contentKeys).map((key) => key ?? undefined);
    },
    async close() {
      leases.drop();
      await watch.end();
      connection.close();
    },
  };
}

/** As many answers as items, or the service is not one of ours. */
function answered<T>(items: readonly unknown[], answers: readonly T[]): readonly T[] {
  if (answers.length !== items.length) throw fail('key-service-unavailable');
  return answers;
}

function recordOf({ keyId, ...rest }: KeyAnswer<'certificates'>['records'][number]): CertificateRecord {
  return keyId === undefined ? rest : { ...rest, keyId: formatKeyId(parseKeyId(keyId)) };
}
