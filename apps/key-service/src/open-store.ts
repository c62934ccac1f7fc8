// The store while it is open: everything that operations work with. Made from the root key, forgotten when it is sealed.

import { createHmac, createPublicKey } from 'node:crypto';
import {
  formatKeyId,
  normalAddress,
  parseKeyId,
  type TicketSigner,
  type TicketVerifier,
  ticketVerifier,
} from '@sealpost/core';
import { type Installation, ticketLifeMs } from '@sealpost/service';
import { openRequests, type Requests } from './acts/requests.ts';
import type { Authority } from './authority/authority.ts';
import { ensureServiceAuthority, issueTicketCertificate } from './authority/service-authority.ts';
import type { Hsm } from './hsm/hsm.ts';
import { type Leases, openLeases } from './leases.ts';
import { type Factors, openFactors } from './people/factors.ts';
import { openPeople, type People } from './people/register.ts';
import { openPolicy, type Policy, type PolicyStore } from './policy/policy.ts';
import { openRevocations } from './revocations.ts';
import { type CertificateStore, openCertificateStore } from './store/certificate-store.ts';
import { copyStore } from './store/copy.ts';
import type { Database } from './store/database.ts';
import { type KekRotation, openKekRotation } from './store/kek-rotation.ts';
import { type KeyStore, openKeyStore, type StoredKey } from './store/key-store.ts';
import { makePrivateKey } from './store/make-key.ts';
import { type Outbox, openOutbox } from './store/outbox.ts';
import { markDevelopment, type OuterStore } from './store/outer.ts';
import { openRecords, type Records } from './store/records.ts';
import { type GuardedDatabase, openState } from './store/state.ts';
import { openTransactions } from './store/transactions.ts';
import { type Keks, openKeks } from './vault/keks.ts';
import { openSlotBook, type SlotBook } from './vault/slot-book.ts';

/** What of the configuration bounds the use of keys. */
export interface KeyLimits {
  readonly leaseMs: number;
  readonly leasesPerClient: number;
  /** A worker that does not say in this time that a lease called back is gone gets no more. */
  readonly acknowledgeMs: number;
  /** Longest time that mail may be here; older tickets prove nothing. */
  readonly ticketLifeMs: number;
}

export function limitsOf({ keyServer, queue }: Installation): KeyLimits {
  return {
    leaseMs: keyServer.leases.seconds * 1000,
    leasesPerClient: keyServer.leases.perClient,
    acknowledgeMs: keyServer.leases.acknowledgeSeconds * 1000,
    ticketLifeMs: ticketLifeMs(queue),
  };
}

/** What an open store works with beside its files. */
export interface StoreParts {
  readonly limits: KeyLimits;
  now(): Date;
  readonly hsm: Hsm | undefined;
}

export interface OpenStore extends StoreParts {
  readonly id: string;
  /** How many changes were ever committed to it (state.ts). */
  commits(): number;
  readonly records: Records;
  readonly keys: KeyStore;
  readonly certificates: CertificateStore;
  /** Audit records of changes, on their way to the log. */
  readonly outbox: Outbox;
  readonly kekRotation: KekRotation;
  readonly serviceAuthority: Authority;
  readonly leases: Leases;
  readonly tickets: TicketVerifier;
  readonly slots: SlotBook;
  /** Once opened by the development slot. */
  readonly development: boolean;
  /** What holds now; ask each time. Fault: `policy-missing`. */
  policy(): Policy;
  readonly policies: PolicyStore;
  readonly people: People;
  readonly factors: Factors;
  /** Under dual control. */
  readonly requests: Requests;
  /** Whether a user's key may be lent, or is used in place only. */
  useOf(key: StoredKey): 'lease' | 'in-place';
  /** The service's own ticket key, for releases; certified anew when it is asked for. */
  releaseSigner(): Promise<TicketSigner>;
  /** How an address stands in the audit log: the same address gives the same text, which nobody can turn back. */
  auditAddress(address: string): string;
  /** A key id for the audit log, its identity hashed. */
  auditKey(keyId: string): string;
  markDevelopment(): Promise<void>;
  /** Everything that the store holds, as sealed as it stands (copy.ts). */
  copy(): Promise<Buffer>;
  /** Overwrites the KEKs; nothing here works afterwards. */
  forget(): void;
}

/**
 * Opens the store with its root key, which stays the caller's to overwrite. `onRecord`: the commits that the audit log knows of.
 * Error: `sealed-malformed`; fault: `store-tampered`.
 */
export async function openStore(
  database: Database,
  outer: OuterStore,
  root: Buffer,
  parts: StoreParts,
  onRecord: number,
): Promise<OpenStore> {
  const keks = openKeks(root, outer.keks, outer.id);
  try {
    return await assemble(await openState(database, keks, outer.id, onRecord), outer, keks, parts);
  } catch (error) {
    keks.forget();
    throw error;
  }
}

async function assemble(
  { database, commits }: GuardedDatabase,
  { id: storeId, development }: OuterStore,
  keks: Keks,
  parts: StoreParts,
): Promise<OpenStore> {
  const { limits, now } = parts;
  const transactions = openTransactions(database);
  const records = openRecords(transactions, keks);
  const outbox = openOutbox(records);
  const keys = openKeyStore(records, keks, now);
  const certificates = openCertificateStore(records);
  const serviceAuthority = await ensureServiceAuthority({ records, keys, certificates, now });
  const policies = await openPolicy(records);
  const policy = policies.now;
  const authorities = [serviceAuthority.certificate.der];
  const auditAddress = (address: string): string =>
    createHmac('sha256', keks.newest('audit').key).update(normalAddress(address)).digest('hex').slice(0, 32);
  // The policy tightens what the configuration allows.
  const cap = (): number => Math.min(limits.leasesPerClient, policy().leasesPerClient);
  const leases = openLeases(cap, await openRevocations(records, limits), records);

  return {
    ...parts,
    id: storeId,
    commits,
    records,
    keys,
    certificates,
    outbox,
    kekRotation: openKekRotation({ store: transactions, records, keks, outbox, now }),
    serviceAuthority,
    leases,
    tickets: ticketVerifier(authorities, limits.ticketLifeMs),
    slots: openSlotBook({ store: transactions, storeId, keks, hsm: parts.hsm, now }),
    development,
    policy,
    policies,
    people: openPeople(records),
    factors: openFactors(records, policy),
    requests: openRequests(records),
    useOf: ({ name, token }) => (token ? 'in-place' : policy().useOf(name.use)),
    async releaseSigner() {
      const privateKey = await makePrivateKey('ed25519');
      const key = createPublicKey(privateKey);
      const { der } = await issueTicketCertificate(serviceAuthority, 'key-service', 'release', key);
      return { role: 'key-service', certificate: der, privateKey };
    },
    auditAddress,
    auditKey(keyId) {
      const name = parseKeyId(keyId);
      // Parts of the gateway itself have no address to hide.
      const identity = name.identity.includes('@') ? auditAddress(name.identity) : name.identity;
      return formatKeyId({ ...name, identity });
    },
    markDevelopment: () => markDevelopment(transactions),
    copy: () => copyStore(transactions),
    forget() {
      leases.revocations.release();
      keks.forget();
    },
  };
}
