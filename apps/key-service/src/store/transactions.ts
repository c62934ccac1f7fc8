// Units of work on the store's database. Inside one, reads see what it wrote; its changes are collected with what they found there
// and committed once, at its end. One runs at a time in this process, so whatever reads, decides and writes in one is not disturbed
// by another, however often it waits. Reads outside of one see what is committed.

import { AsyncLocalStorage } from 'node:async_hooks';
import type { Change, Database, Outside, Row, RowPlace, Things } from './database.ts';

export interface Transactions extends Omit<Database, 'commit' | 'close'> {
  /** All or nothing, durable when it resolves; one inside another is part of it. What it began must end before it does. */
  transaction<T>(run: () => Promise<T>): Promise<T>;
  /** Adds a change, whose `before` is what this transaction reads there; outside of one it is one of its own. */
  put(change: Change): Promise<void>;
  /** For what memory keeps of the store: runs when this transaction is committed and before the next begins; never if it fails. */
  whenCommitted(run: () => void): void;
}

interface Unit {
  /** By place. */
  readonly changes: Map<string, Change>;
  readonly afterwards: (() => void)[];
  isOver: boolean;
}

export function openTransactions(database: Database): Transactions {
  const units = new AsyncLocalStorage<Unit>();
  let last: Promise<unknown> = Promise.resolve();

  function inside(): Unit | undefined {
    const unit = units.getStore();
    // What it would write is lost, and what it reads may be half of something.
    if (unit?.isOver) throw new Error('work went on after its transaction ended');
    return unit;
  }

  async function perform<T>(run: () => Promise<T>): Promise<T> {
    const unit: Unit = { changes: new Map(), afterwards: [], isOver: false };
    let result: T;
    try {
      result = await units.run(unit, run);
    } finally {
      unit.isOver = true;
    }
    if (unit.changes.size > 0) await database.commit([...unit.changes.values()]);
    for (const each of unit.afterwards) each();
    return result;
  }

  async function transaction<T>(run: () => Promise<T>): Promise<T> {
    if (inside()) return await run();
    const turn = last.then(() => perform(run));
    last = turn.catch(() => undefined);
    return await turn;
  }

  /** What was read, as this transaction has changed it. */
  function seen<K extends keyof Things>(
    of: K,
    read: readonly Things[K][],
    matches: (thing: Things[K]) => boolean = () => true,
  ): Things[K][] {
    const changes = inside()?.changes;
    if (!changes?.size) return [...read];
    const places = new Map<string, Things[K] | undefined>();
    for (const thing of read) places.set(placeOf(of, thing), thing);
    // One that is changed keeps its place in the order.
    for (const [place, change] of changes)
      if (change.of === of) places.set(place, change.after as Things[K] | undefined);
    const there = [...places.values()].flatMap((thing) => (thing === undefined ? [] : [thing]));
    return there.filter(matches);
  }

  return {
    transaction,
    async outside(): Promise<Outside> {
      const { meta, slots, keks } = await database.outside();
      return { meta: seen('meta', meta), slots: seen('slot', slots), keks: seen('kek', keks) };
    },
    async get(place) {
      const found = await database.get(place);
      const changes = inside()?.changes;
      const change = changes?.get(placeOf('row', place));
      return change?.of === 'row' ? change.after : found;
    },
    async ofOwner(kind, tenant, owner) {
      const isOf = (row: Row): boolean => row.kind === kind && row.tenant === tenant && row.owner.equals(owner);
      return seen('row', await database.ofOwner(kind, tenant, owner), isOf);
    },
    async ofTenant(kind, tenant) {
      const isOf = (row: Row): boolean => row.kind === kind && row.tenant === tenant;
      return seen('row', await database.ofTenant(kind, tenant), isOf);
    },
    async after(place, limit) {
      // What this transaction removed would be missing at the end.
      const read = await database.after(place, limit + (inside()?.changes.size ?? 0));
      return seen('row', read, (row) => !place || order(row, place) > 0)
        .sort(order)
        .slice(0, limit);
    },
    async put(change) {
      const unit = inside();
      if (!unit) return await transaction(async () => add(inside(), change));
      add(unit, change);
    },
    whenCommitted(run) {
      const unit = inside();
      if (unit) unit.afterwards.push(run);
      else run();
    },
    scrub: () => database.scrub(),
  };
}

function add(unit: Unit | undefined, change: Change): void {
  const thing = change.after ?? change.before;
  if (!unit || !thing) return;
  const place = placeOf(change.of, thing);
  const earlier = unit.changes.get(place);
  const whole = { ...change, before: earlier ? earlier.before : change.before } as Change;
  if (whole.before === undefined && whole.after === undefined) unit.changes.delete(place);
  else unit.changes.set(place, whole);
}

function placeOf(of: keyof Things, thing: object): string {
  const { kind, id, use, version, label, name } = thing as Record<string, unknown>;
  if (of === 'row') return `row ${kind} ${(id as Buffer).toString('hex')}`;
  return of === 'kek' ? `kek ${use} ${version}` : `${of} ${of === 'slot' ? label : name}`;
}

function order(a: RowPlace, b: RowPlace): number {
  if (a.kind !== b.kind) return a.kind < b.kind ? -1 : 1;
  return a.id.compare(b.id);
}
