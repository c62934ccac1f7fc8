// Keeps the store sealed or open. It starts sealed, opens with the secret of any slot, and forgets the keys at once when it is
// sealed. A log that is not the one this store wrote keeps it sealed.

import { type Clock, fail, formatKeyId, type Log, SetupError } from '@sealpost/core';
import { type Installation, type KeyAnswer, KeyFault, type SlotKind } from '@sealpost/service';
import type { HeadSigner } from './audit/head-signer.ts';
import type { Journal } from './audit/journal.ts';
import { watchLog } from './audit/log-watch.ts';
import { openLog } from './audit/open-log.ts';
import { installationTenant } from './authority/authority.ts';
import { makeTenantKey, missingKeys } from './authority/tenant-authority.ts';
import { type BackupMade, makeBackup } from './backup/make-backup.ts';
import type { Hsm } from './hsm/hsm.ts';
import { limitsOf, type OpenStore, openStore } from './open-store.ts';
import type { Database } from './store/database.ts';
import { type OuterStore, readOuter } from './store/outer.ts';
import { openDatabase } from './store/sqlite-database.ts';
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
  status(): Promise<KeyAnswer<'status'>>;
  isSealed(): boolean;
  /** Why it is sealed. */
  reason(): KeyAnswer<'status'>['reason'];
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
  /** The open store was opened by a file that was made for development. */
  markDevelopment(): Promise<void>;
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
  const database = await openDatabase(config.keyServer.directory);
  const outer = await readOuter(database);
  if (!outer) {
    await database.close();
    throw new SetupError(`the key store in ${config.keyServer.directory} was not finished: run \`init\` again`);
  }
  if (outer.development) log.event('store.development');
  else if (outer.slots.length === 1) log.event('store.one-slot');
  return keep(database, await openLog({ ...config.keyServer.audit, ...options }), options);
}

function keep(database: Database, journal: Journal | undefined, options: KeeperOptions): Keeper {
  const { config, log, clock, trusted, replaceLog = false } = options;
  let open: OpenStore | undefined;
  let reason: KeyAnswer<'status'>['reason'] = journal ? 'waiting' : 'audit-tampered';
  let attempts: number[] = [];
  /** Opening and sealing, one after the other: two at once would open the store twice, and cost twice the memory. */
  let turn: Promise<unknown> = Promise.resolve();
  /** Times that somebody said so. */
  let sealings = 0;
  const shares = openSharesInHand();
  const watch = watchLog({ journal: theJournal, file: config.keyServer.audit.file, clock, log, replaceLog });
  /** Revocations and workers that are late with them, once on record. */
  const told = new Set<string>();

  const timers = [
    // Unless it was sealed in the middle of it.
    setInterval(() => void mark().catch((error) => open && notKept(error)), headIntervalMs),
    setInterval(() => void tellLate(), lateIntervalMs),
  ];
  for (const timer of timers) timer.unref();

  async function mark(): Promise<void> {
    if (open) await watch.mark();
  }

  /** A store that cannot keep the log's head. */
  function notKept(error: unknown): void {
    log.event('process.failed', { reason: 'audit head', ...(error instanceof Error ? { error } : {}) });
  }

  /** Workers that keep leases which were called back are cut off by then; somebody should look. A log that fails says so by itself. */
  async function tellLate(): Promise<void> {
    for (const { id, holder } of open?.leases.revocations.late(clock.now()) ?? []) {
      const { client: certificate, instance } = holder;
      if (told.has(`${id} ${instance}`)) continue;
      told.add(`${id} ${instance}`);
      log.event('lease.kept', { source: instance });
      await watch.event('worker-cut-off', { instance, certificate, result: 'ok' }).catch(() => undefined);
    }
  }

  /** What the store shows now: slots and KEKs change while it is open. */
  async function outside(): Promise<OuterStore> {
    const outer = await readOuter(database);
    if (!outer) throw fail('internal');
    return outer;
  }

  async function tryOpen(kind: SlotKind, secret: Buffer): Promise<void> {
    const outer = await outside();
    const found = await findRoot(outer.slots, kind, secret, outer.id);
    if (!found) {
      await watch.event('unseal-refused', { result: 'passphrase-wrong' });
      throw new KeyFault('passphrase-wrong');
    }
    const { root, slot } = found;
    const more = { limits: limitsOf(config), now: () => clock.now(), hsm: options.hsm };
    const onRecord = replaceLog ? 0 : theJournal().commits();
    const opened = await openStore(database, outer, root, more, onRecord)
      .catch(notOpened)
      .finally(() => using(root, () => undefined));
    try {
      await check(opened);
      await provision(opened, slot);
    } catch (error) {
      opened.forget();
      watch.end(watch.signer());
      throw error;
    }
    open = opened;
    reason = undefined;
    shares.reset();
    await mark();
    log.event('store.opened');
  }

  /** Somebody wrote to the store, or put an older one in its place. */
  async function notOpened(error: unknown): Promise<never> {
    if (error instanceof KeyFault && error.code === 'store-tampered') {
      reason = 'store-tampered';
      log.event('alert.authenticity', { reason: 'the key store does not hold what it wrote last' });
      await watch.event('unseal-refused', { result: 'store-tampered' });
    }
    throw error;
  }

  async function check(opened: OpenStore): Promise<void> {
    const refuse = (why: 'store-foreign' | 'policy-missing' | 'audit-tampered'): never => {
      reason = why;
      throw new KeyFault(why);
    };
    if (trusted && !opened.serviceAuthority.certificate.der.equals(trusted)) refuse('store-foreign');
    if (trusted && opened.policies.isMissing()) refuse('policy-missing');
    if (!(await watch.begin(opened))) refuse('audit-tampered');
  }

  async function provision(opened: OpenStore, slot: string): Promise<void> {
    await watch.event('store-opened', { slot, result: 'ok' });
    await opened.outbox.flush(theJournal().append);
    for (const { id: tenant } of config.tenants) {
      for (const missing of await missingKeys(tenant, opened)) {
        const key = opened.auditKey(formatKeyId({ tenant, version: 1, ...missing }));
        await watch.recorded({ tenant, key }, () => makeTenantKey(tenant, missing, opened));
        log.event('key.created', { tenant, key });
      }
    }
  }

  function theSigner(): HeadSigner {
    const signer = watch.signer();
    if (!signer) throw fail('key-service-sealed');
    return signer;
  }

  async function backUp(): Promise<BackupMade> {
    const { key, signForm } = theSigner();
    const head = theJournal().signedHead();
    if (!open || head === undefined) throw fail('key-service-sealed');
    return await makeBackup({
      config: config.keyServer.backup,
      store: open,
      head,
      key,
      sign: signForm,
      recorded: (name, make) => watch.recorded({ tenant: installationTenant, key: name }, make),
    });
  }

  function theJournal(): Journal {
    if (!journal) throw fail('audit-unavailable');
    return journal;
  }

  async function seal(because: typeof reason = 'waiting'): Promise<void> {
    const last = open;
    if (!last) return;
    // Nothing new begins from here on; what is under way ends before the keys do.
    open = undefined;
    reason = because;
    const signer = watch.signer();
    const ending = turn
      .then(() => watch.save())
      .catch(notKept)
      .finally(() => last.forget());
    turn = ending;
    try {
      await ending;
      log.event('store.sealed');
      await watch.event('store-sealed', { result: 'ok' });
      await theJournal().checkpoint(clock.now());
    } finally {
      // The one key that outlives the sealing by a moment: it signs the record that says so.
      watch.end(signer);
    }
  }

  function countAttempt(): void {
    const now = clock.now().getTime();
    attempts = attempts.filter((at) => at > now - attemptWindowMs);
    if (attempts.length >= maxAttempts) throw new KeyFault('too-many-attempts');
    attempts.push(now);
  }

  async function unseal(kind: SlotKind, secret: Buffer): Promise<void> {
    if (reason === 'audit-tampered') throw new KeyFault('audit-tampered');
    const mine = turn.then(() => (open ? undefined : tryOpen(kind, secret)));
    turn = mine.catch(() => undefined);
    await mine;
  }

  return {
    async status() {
      const { development, slots } = await outside();
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
    isSealed: () => open === undefined,
    reason: () => reason,
    store() {
      if (!open) throw fail('key-service-sealed');
      return open;
    },
    journal: theJournal,
    signedHead: () => journal?.signedHead(),
    async hear(client, head) {
      if (!open) watch.wait(client, head);
      else if (watch.contradicted(head)) await seal('audit-tampered');
    },
    auditKey: () => theSigner().key,
    sign: (form) => theSigner().signForm(form),
    backUp,
    async unseal(kind, secret) {
      if (kind === 'passphrase') countAttempt();
      await unseal(kind, secret);
    },
    async unsealShare(sealed) {
      if (open) return undefined;
      const { progress, slot, secret } = await shares.take(sealed, (await outside()).slots);
      if (secret) await unseal(slot.kind, secret).finally(() => secret.fill(0));
      return progress;
    },
    resetShares: shares.reset,
    async unsealByToken() {
      const { hsm } = options;
      if (!hsm) throw new KeyFault('hsm-unavailable');
      const before = sealings;
      const secret = await secretByToken((await outside()).slots, hsm);
      // Nobody is there who could wonder that it opens after all.
      if (sealings === before) await unseal('pkcs11', secret).finally(() => secret.fill(0));
      else secret.fill(0);
    },
    async markDevelopment() {
      if (!open || (await outside()).development) return;
      await open.markDevelopment();
      log.event('store.development');
    },
    slotFailed(why) {
      // Unless something worse is known.
      if (reason === 'waiting' || reason === 'awaits-token') reason = why;
    },
    async seal() {
      sealings += 1;
      if (reason === 'awaits-token') reason = 'waiting';
      await turn;
      await seal();
    },
    async close() {
      for (const timer of timers) clearInterval(timer);
      await turn;
      await mark().catch(notKept);
      open?.forget();
      open = undefined;
      await journal?.close();
      await database.close();
    },
  };
}
