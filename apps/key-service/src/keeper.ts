// Keeps the store sealed or open. It starts sealed, opens with the secret of any slot, and forgets the keys at once when it is
// sealed. A log that is not the one this store wrote keeps it sealed.

import { randomUUID } from 'node:crypto';
import { existsSync, renameSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { type Clock, fail, formatKeyId, type Log, SetupError } from '@sealpost/core';
import { type Installation, type KeyAnswer, KeyFault, ticketLifeMs } from '@sealpost/service';
import type { AuditEntry } from './audit/chain.ts';
import { type Journal, openJournal } from './audit/journal.ts';
import { holdsHead, readLog } from './audit/read-log.ts';
import { fileSink } from './audit/sink.ts';
import { installationTenant } from './authority/authority.ts';
import { makeTenantKey, missingKeys } from './authority/tenant-authority.ts';
import { type KeyLimits, type OpenStore, openStore } from './open-store.ts';
import { openDatabase } from './store/database.ts';
import { type OuterStore, readOuter } from './store/outer.ts';
import { using } from './vault/box.ts';
import { openSlot, type SlotKind } from './vault/slots.ts';

/** How often the log's head is kept in the store: what is cut from the log before it is found at the next opening. */
const headIntervalMs = 10_000;
/** Passphrases tried in a minute, by whomever: each costs Argon2id, and guessing must stay hopeless. */
const maxAttempts = 10;
const attemptWindowMs = 60_000;

export interface Keeper {
  status(): KeyAnswer<'status'>;
  /** The open store. Error: `key-service-sealed`. */
  store(): OpenStore;
  /** The audit log. Error: `audit-unavailable` while the file is not genuine. */
  journal(): Journal;
  /** Opens with a slot's secret. Faults: `passphrase-wrong`, `too-many-attempts`, `audit-tampered`, `store-foreign`. */
  unseal(kind: SlotKind, secret: Buffer): Promise<void>;
  /** Says why a slot that should open by itself did not. */
  slotFailed(): void;
  seal(): Promise<void>;
  close(): Promise<void>;
}

export interface KeeperOptions {
  readonly config: Installation;
  readonly log: Log;
  readonly clock: Clock;
  /** DER of the service CA that the server trusts; the store must hold the same one. Undefined while `init` makes it. */
  readonly trusted?: Buffer;
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
  return keep(database, outer, await openLog(options), options);
}

function keep(database: DatabaseSync, outer: OuterStore, journal: Journal | undefined, options: KeeperOptions): Keeper {
  const { config, log, clock, trusted, replaceLog = false } = options;
  const { file } = config.keyServer.audit;
  let open: OpenStore | undefined;
  let reason: KeyAnswer<'status'>['reason'] = journal ? 'waiting' : 'audit-tampered';
  let attempts: number[] = [];
  let opening: Promise<void> | undefined;
  let savedHead = '';

  const headName = { kind: 'audit-head', tenant: installationTenant, owner: '', id: 'head' } as const;
  const timer = setInterval(() => saveHead(), headIntervalMs);
  timer.unref();

  function saveHead(): void {
    const at = journal?.head();
    if (!open || !at || at.head.hash === savedHead) return;
    open.records.replace(headName, Buffer.from(JSON.stringify(at)));
    savedHead = at.head.hash;
  }

  async function tryOpen(kind: SlotKind, secret: Buffer): Promise<void> {
    const slot = outer.slots.find((each) => each.kind === kind);
    const root = slot && (await openSlot(slot, secret, outer.id));
    if (!root) {
      await event('unseal-refused', { result: 'passphrase-wrong' });
      throw new KeyFault('passphrase-wrong');
    }
    const opened = await openStore(database, outer, root, limitsOf(config), () => clock.now()).finally(() =>
      using(root, () => undefined),
    );
    try {
      await check(opened);
      await provision(opened);
    } catch (error) {
      opened.forget();
      throw error;
    }
    open = opened;
    reason = undefined;
    saveHead();
    log.event('store.opened');
  }

  async function check(opened: OpenStore): Promise<void> {
    if (trusted && !opened.serviceAuthority.certificate.der.equals(trusted)) {
      reason = 'store-foreign';
      throw new KeyFault('store-foreign');
    }
    const kept = opened.records.get(headName);
    const at = kept && (JSON.parse(kept.toString('utf8')) as ReturnType<Journal['head']>);
    if (replaceLog) {
      await event('audit-log-replaced', { replaces: at ? `${at.head.seq} ${at.head.hash}` : 'none', result: 'ok' });
      return;
    }
    if (at && !(await holdsHead(file, at.end, at.head))) {
      reason = 'audit-tampered';
      log.event('audit.failed', { reason: 'tampered' });
      throw new KeyFault('audit-tampered');
    }
  }

  async function provision(opened: OpenStore): Promise<void> {
    await event('store-opened', { result: 'ok' });
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

  function theJournal(): Journal {
    if (!journal) throw fail('audit-unavailable');
    return journal;
  }

  async function seal(): Promise<void> {
    if (!open) return;
    saveHead();
    open.forget();
    open = undefined;
    reason = 'waiting';
    log.event('store.sealed');
    await event('store-sealed', { result: 'ok' });
  }

  return {
    status: () => ({
      sealed: open === undefined,
      ...(reason === undefined ? {} : { reason }),
      development: outer.development,
      slots: outer.slots.map(({ kind }) => kind),
    }),
    store() {
      if (!open) throw fail('key-service-sealed');
      return open;
    },
    journal: theJournal,
    async unseal(kind, secret) {
      if (reason === 'audit-tampered') throw new KeyFault('audit-tampered');
      const now = clock.now().getTime();
      attempts = attempts.filter((at) => at > now - attemptWindowMs);
      if (attempts.length >= maxAttempts) throw new KeyFault('too-many-attempts');
      attempts.push(now);
      // One after the other: two at once would open the store twice, and cost twice the memory.
      const turn = (opening ?? Promise.resolve()).then(() => (open ? undefined : tryOpen(kind, secret)));
      opening = turn.catch(() => undefined);
      await turn;
    },
    slotFailed() {
      // Unless something worse is known.
      if (reason === 'waiting') reason = 'slot-unreadable';
    },
    seal,
    async close() {
      clearInterval(timer);
      saveHead();
      open?.forget();
      open = undefined;
      await journal?.close();
      database.close();
    },
  };
}

/** The log with its torn end cut off; undefined when it is not genuine. */
async function openLog({ config, log, clock, replaceLog, onGroup }: KeeperOptions): Promise<Journal | undefined> {
  const { file, deadlineMs } = config.keyServer.audit;
  if (replaceLog && existsSync(file)) renameSync(file, `${file}.replaced-${clock.now().getTime()}`);
  const state = await readLog(file);
  if (state.kind === 'tampered') {
    log.event('audit.failed', { reason: 'tampered', count: state.head.seq });
    return undefined;
  }
  const sink = await fileSink(file);
  if (state.torn > 0) {
    log.event('audit.failed', { reason: 'torn end repaired', bytes: state.torn });
    await sink.truncate(state.end);
    await sink.sync();
  }
  return openJournal(sink, {
    head: state.head,
    end: state.end,
    deadlineMs,
    onFailure: (error) => log.event('audit.failed', error instanceof Error ? { error } : {}),
    ...(onGroup ? { onGroup } : {}),
  });
}

function limitsOf({ keyServer, queue }: Installation): KeyLimits {
  return {
    leaseMs: keyServer.leases.seconds * 1000,
    leasesPerClient: keyServer.leases.perClient,
    ticketLifeMs: ticketLifeMs(queue),
  };
}
