// Keeps the store sealed or open. It starts sealed, opens with the secret of any slot, and forgets the keys at once when it is
// sealed. A log that is not the one this store wrote keeps it sealed.

import { type KeyObject, randomUUID } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { type Clock, fail, formatKeyId, type Log, SetupError } from '@sealpost/core';
import {
  type AuditEntry,
  type ChainHead,
  type Installation,
  type KeyAnswer,
  KeyFault,
  parseHead,
  type SignedHead,
  type SlotKind,
} from '@sealpost/service';
import { contradicts, openClientHeads } from './audit/client-heads.ts';
import { auditKeyId, findAuditKey, type HeadSigner, headSigner, makeAuditKey } from './audit/head-signer.ts';
import type { Journal } from './audit/journal.ts';
import { beginAnew, type LogMemory, recallLog, rememberLog } from './audit/log-memory.ts';
import { holdsMemory, openLog } from './audit/open-log.ts';
import { installationTenant } from './authority/authority.ts';
import { makeTenantKey, missingKeys } from './authority/tenant-authority.ts';
import { type BackupMade, makeBackup } from './backup/make-backup.ts';
import type { Hsm } from './hsm/hsm.ts';
import { limitsOf, type OpenStore, openStore } from './open-store.ts';
import { openDatabase } from './store/database.ts';
import { markDevelopment, type OuterStore, readOuter, readSlots } from './store/outer.ts';
import { openSharesInHand, type ShareProgress } from './unseal-shares.ts';
import { using } from './vault/box.ts';
import { findRoot } from './vault/slots.ts';
import { secretByToken } from './vault/token-slot.ts';

/** How often a checkpoint is written and the log's head kept in the store: what is cut off before it is found at the next opening. */
const headIntervalMs = 10_000;
/** How often is looked for workers that keep a lease which was called back. */
const lateIntervalMs = 1_000;
/** Passphrases tried in a minute, by whomever: each costs Argon2id, and guessing must stay hopeless. */
const maxAttempts = 10;
const attemptWindowMs = 60_000;

export interface Keeper {
  status(): KeyAnswer<'status'>;
  /** The open store. Error: `key-service-sealed`. */
  store(): OpenStore;
  /** The audit log. Error: `audit-unavailable` while the file is not genuine. */
  journal(): Journal;
  /** The log's head as answers carry it; undefined while the store is sealed. */
  signedHead(): string | undefined;
  /** What an answer of this service told a client earlier. A log that does not hold it is sealed, with an alert. */
  hear(client: string, head: string): Promise<void>;
  /** The public half of the audit key, SPKI in base64. Error: `key-service-sealed`. */
  auditKey(): string;
  /** By the audit key, over a form of backup-file.ts. Error: `key-service-sealed`. */
  sign(form: Buffer): Buffer;
  /** Saves the store. Faults: `backup-not-configured`; error: `key-service-sealed`. */
  backUp(): Promise<BackupMade>;
  /** Opens with the secret of any slot of a kind. Faults: `passphrase-wrong`, `too-many-attempts`, `audit-tampered`, `store-foreign`, `policy-missing`. */
  unseal(kind: SlotKind, secret: Buffer): Promise<void>;
  /** Takes a custodian's share, sealed to the key in the status; the one that is enough opens. Faults: `share-wrong`, and as above. */
  unsealShare(sealed: Buffer): Promise<ShareProgress | undefined>;
  /** Forgets the shares in hand; how many there were. */
  resetShares(): number;
  /** Opens with a slot whose key is in the token. Faults: `passphrase-wrong` when none opens, the token's, and as above. */
  unsealByToken(): Promise<void>;
  /** The store was opened by a file that was made for development. */
  markDevelopment(): void;
  /** Says why a slot that should open by itself did not. */
  slotFailed(why: 'slot-unreadable' | 'awaits-token'): void;
  /** Also ends an opening that is under way, and the waiting for a token. */
  seal(): Promise<void>;
  close(): Promise<void>;
}

export interface KeeperOptions {
  readonly config: Installation;
  readonly log: Log;
  readonly clock: Clock;
  /** DER of the service CA that the server trusts; the store must hold the same one. Undefined while `init` makes it. */
  readonly trusted?: Buffer;
  /** The token that the configuration names. */
  readonly hsm?: Hsm;
  /** An operator gave up the log that the store knows: it is put aside and a new chain says so first. */
  readonly replaceLog?: boolean;
  onGroup?(records: number, seconds: number): void;
}

/** Opens the files, sealed. Throws SetupError when there is no store or another process has it. */
export async function openKeeper(options: KeeperOptions): Promise<Keeper> {
  const { config, log } = options;
  const database = openDatabase(config.keyServer.directory);
  const outer = readOuter(database);
  if (!outer) {
    database.close();
    throw new SetupError(`the key store in ${config.keyServer.directory} was not finished: run \`init\` again`);
  }
  if (outer.development) log.event('store.development');
  else if (outer.slots.length === 1) log.event('store.one-slot');
  return keep(database, await openLog({ ...config.keyServer.audit, ...options }), options);
}

function keep(database: DatabaseSync, journal: Journal | undefined, options: KeeperOptions): Keeper {
  const { config, log, clock, trusted, replaceLog = false } = options;
  const { file } = config.keyServer.audit;
  let open: OpenStore | undefined;
  let reason: KeyAnswer<'status'>['reason'] = journal ? 'waiting' : 'audit-tampered';
  let attempts: number[] = [];
  let opening: Promise<void> | undefined;
  /** Times that somebody said so. */
  let sealings = 0;
  const clientHeads = openClientHeads();
  const shares = openSharesInHand();
  /** Revocations and workers that are late with them, once on record. */
  const told = new Set<string>();
  /** While the store is open. */
  let signer: HeadSigner | undefined;
  let memory: LogMemory | undefined;

  const timers = [setInterval(() => void mark(), headIntervalMs), setInterval(() => void tellLate(), lateIntervalMs)];
  for (const timer of timers) timer.unref();

  /** Signs what the log holds and keeps its head in the store, if it moved. A log that fails says so by itself. */
  async function mark(): Promise<void> {
    if (!open || !journal || journal.head().head.hash === memory?.head?.hash) return;
    await journal.checkpoint(clock.now()).catch(() => undefined);
    saveHead();
  }

  /** Workers that keep leases which were called back are cut off by then; somebody should look. A log that fails says so by itself. */
  async function tellLate(): Promise<void> {
    for (const { id, holder } of open?.leases.revocations.late(clock.now()) ?? []) {
      const { client: certificate, instance } = holder;
      if (told.has(`${id} ${instance}`)) continue;
      told.add(`${id} ${instance}`);
      log.event('lease.kept', { source: instance });
      await event('worker-cut-off', { instance, certificate, result: 'ok' }).catch(() => undefined);
    }
  }

  function saveHead(): void {
    if (!open || !journal || !memory) return;
    memory = { ...memory, ...journal.head() };
    rememberLog(open.records, memory);
  }

  /** What the store shows now: slots and KEKs change while it is open. */
  function outside(): OuterStore {
    const outer = readOuter(database);
    if (!outer) throw fail('internal');
    return outer;
  }

  async function tryOpen(kind: SlotKind, secret: Buffer): Promise<void> {
    const outer = outside();
    const found = await findRoot(outer.slots, kind, secret, outer.id);
    if (!found) {
      await event('unseal-refused', { result: 'passphrase-wrong' });
      throw new KeyFault('passphrase-wrong');
    }
    const { root, slot } = found;
    const more = { limits: limitsOf(config), now: () => clock.now(), hsm: options.hsm };
    const opened = await openStore(database, outer, root, more).finally(() => using(root, () => undefined));
    try {
      await check(opened);
      await provision(opened, slot);
    } catch (error) {
      opened.forget();
      forgetSigner(signer);
      throw error;
    }
    open = opened;
    reason = undefined;
    shares.reset();
    await mark();
    log.event('store.opened');
  }

  async function check(opened: OpenStore): Promise<void> {
    if (trusted && !opened.serviceAuthority.certificate.der.equals(trusted)) {
      reason = 'store-foreign';
      throw new KeyFault('store-foreign');
    }
    if (trusted && opened.policies.isMissing()) {
      reason = 'policy-missing';
      throw new KeyFault('policy-missing');
    }
    const key = findAuditKey(opened.keys) ?? (await recordedAuditKey(opened));
    const known = recallLog(opened.records);
    memory = replaceLog ? beginAnew(known) : known;
    signer = headSigner(memory.log, key);
    const { head } = known;
    if (replaceLog) {
      await event('audit-log-replaced', { replaces: head ? `${head.seq} ${head.hash}` : 'none', result: 'ok' });
      theJournal().signWith(signer);
      return;
    }
    const shown = clientHeads.waited().find(isContradicted);
    if (shown?.log === known.log) {
      rememberLog(opened.records, { ...known, shown: { seq: shown.seq, hash: shown.hash } });
    }
    if (shown || (known.shown && !holds(known.shown)) || !(await holdsMemory(file, known, theJournal(), signer))) {
      reason = 'audit-tampered';
      log.event('audit.failed', { reason: 'tampered' });
      throw new KeyFault('audit-tampered');
    }
    theJournal().signWith(signer);
  }

  async function recordedAuditKey({ keys }: OpenStore): Promise<KeyObject> {
    const subject = { tenant: installationTenant, key: auditKeyId };
    await event('key-make', { kind: 'intent', ...subject });
    const key = await makeAuditKey(keys);
    await event('key-make', { kind: 'outcome', ...subject, result: 'ok' });
    return key;
  }

  function holds({ seq, hash }: ChainHead): boolean {
    return seq <= theJournal().head().head.seq && (theJournal().hashAt(seq) ?? hash) === hash;
  }

  function isContradicted(shown: SignedHead): boolean {
    return signer !== undefined && memory !== undefined && contradicts(shown, theJournal(), memory, signer);
  }

  async function hear(client: string, text: string): Promise<void> {
    if (!open || !memory) {
      clientHeads.wait(client, text);
      return;
    }
    const shown = parseHead(text);
    if (!shown || !isContradicted(shown)) return;
    log.event('alert.authenticity', { reason: 'a client holds a head that the audit log does not', count: shown.seq });
    // Kept, so that the next opening finds it too; the store's own head would follow the log that is wrong.
    if (shown.log === memory.log) memory = { ...memory, shown: { seq: shown.seq, hash: shown.hash } };
    await seal('audit-tampered');
  }

  async function provision(opened: OpenStore, slot: string): Promise<void> {
    await event('store-opened', { slot, result: 'ok' });
    await opened.outbox.flush(theJournal().append);
    for (const { id: tenant } of config.tenants) {
      for (const missing of missingKeys(tenant, opened)) {
        const key = opened.auditKey(formatKeyId({ tenant, version: 1, ...missing }));
        await event('key-make', { kind: 'intent', tenant, key });
        await makeTenantKey(tenant, missing, opened);
        await event('key-make', { kind: 'outcome', tenant, key, result: 'ok' });
        log.event('key.created', { tenant, key });
      }
    }
  }

  /** What the service does by itself. */
  async function event(operation: string, more: Partial<AuditEntry>): Promise<void> {
    const actor = { role: 'key-service', name: 'self' };
    await theJournal().append({ at: clock.now(), kind: 'event', operation, request: randomUUID(), actor, ...more });
  }

  function theSigner(): HeadSigner {
    if (!signer) throw fail('key-service-sealed');
    return signer;
  }

  async function backUp(): Promise<BackupMade> {
    const { key, signForm } = theSigner();
    const head = theJournal().signedHead();
    if (!open || head === undefined) throw fail('key-service-sealed');
    return await makeBackup({
      config: config.keyServer.backup,
      database,
      storeId: outside().id,
      store: open,
      head,
      key,
      sign: signForm,
      async recorded(name, make) {
        const subject = { tenant: installationTenant, key: name };
        await event('key-make', { kind: 'intent', ...subject });
        const made = await make();
        await event('key-make', { kind: 'outcome', ...subject, result: 'ok' });
        return made;
      },
    });
  }

  function theJournal(): Journal {
    if (!journal) throw fail('audit-unavailable');
    return journal;
  }

  async function seal(because: typeof reason = 'waiting'): Promise<void> {
    if (!open) return;
    saveHead();
    open.forget();
    open = undefined;
    reason = because;
    log.event('store.sealed');
    const last = signer;
    try {
      await event('store-sealed', { result: 'ok' });
      await theJournal().checkpoint(clock.now());
    } finally {
      // The one key that outlives the sealing by a moment: it signs the record that says so.
      forgetSigner(last);
    }
  }

  /** Unless the store was opened again meanwhile. */
  function forgetSigner(last: HeadSigner | undefined): void {
    if (signer !== last) return;
    journal?.signWith(undefined);
    signer = undefined;
  }

  function countAttempt(): void {
    const now = clock.now().getTime();
    attempts = attempts.filter((at) => at > now - attemptWindowMs);
    if (attempts.length >= maxAttempts) throw new KeyFault('too-many-attempts');
    attempts.push(now);
  }

  async function unseal(kind: SlotKind, secret: Buffer): Promise<void> {
    if (reason === 'audit-tampered') throw new KeyFault('audit-tampered');
    // One after the other: two at once would open the store twice, and cost twice the memory.
    const turn = (opening ?? Promise.resolve()).then(() => (open ? undefined : tryOpen(kind, secret)));
    opening = turn.catch(() => undefined);
    await turn;
  }

  return {
    status() {
      const { development, slots } = outside();
      return {
        sealed: open === undefined,
        ...(reason === undefined ? {} : { reason }),
        development,
        slots: slots.map(({ label, kind, createdAt }) => ({ label, kind, ...(createdAt ? { createdAt } : {}) })),
        ...(slots.length === 1 && !development ? { risk: 'one-slot' as const } : {}),
        unsealKey: shares.key,
        shares: open ? [] : shares.progress(slots),
      };
    },
    store() {
      if (!open) throw fail('key-service-sealed');
      return open;
    },
    journal: theJournal,
    signedHead: () => journal?.signedHead(),
    hear,
    auditKey: () => theSigner().key,
    sign: (form) => theSigner().signForm(form),
    backUp,
    async unseal(kind, secret) {
      if (kind === 'passphrase') countAttempt();
      await unseal(kind, secret);
    },
    async unsealShare(sealed) {
      if (open) return undefined;
      const { progress, slot, secret } = await shares.take(sealed, readSlots(database));
      if (secret) await unseal(slot.kind, secret).finally(() => secret.fill(0));
      return progress;
    },
    resetShares: shares.reset,
    async unsealByToken() {
      const { hsm } = options;
      if (!hsm) throw new KeyFault('hsm-unavailable');
      const before = sealings;
      const secret = await secretByToken(readSlots(database), hsm);
      // Nobody is there who could wonder that it opens after all.
      if (sealings === before) await unseal('pkcs11', secret).finally(() => secret.fill(0));
      else secret.fill(0);
    },
    markDevelopment() {
      if (outside().development) return;
      markDevelopment(database);
      log.event('store.development');
    },
    slotFailed(why) {
      // Unless something worse is known.
      if (reason === 'waiting' || reason === 'awaits-token') reason = why;
    },
    async seal() {
      sealings += 1;
      if (reason === 'awaits-token') reason = 'waiting';
      await opening;
      await seal();
    },
    async close() {
      for (const timer of timers) clearInterval(timer);
      await mark();
      open?.forget();
      open = undefined;
      await journal?.close();
      database.close();
    },
  };
}
