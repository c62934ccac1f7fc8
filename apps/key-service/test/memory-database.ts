// The store's database in memory: the twin of sqlite-database.ts, held to the same contract.

import { isDeepStrictEqual } from 'node:util';
import {
  type Change,
  ChangeConflict,
  type Database,
  type Meta,
  type Row,
  type RowPlace,
} from '../src/store/database.ts';
import type { WrappedKek } from '../src/vault/keks.ts';
import type { Slot } from '../src/vault/slots.ts';

interface Things {
  readonly row: Map<string, Row>;
  readonly kek: Map<string, WrappedKek>;
  readonly slot: Map<string, Slot>;
  readonly meta: Map<string, Meta>;
}

export function memoryDatabase(): Database {
  let things: Things = { row: new Map(), kek: new Map(), slot: new Map(), meta: new Map() };
  const rows = (matches: (row: Row) => boolean): Row[] => [...things.row.values()].filter(matches);

  return {
    outside: async () => ({
      meta: inOrder(things.meta),
      slots: [...things.slot.values()],
      keks: inOrder(things.kek),
    }),
    get: async (place) => things.row.get(nameOf('row', place)),
    ofOwner: async (kind, tenant, owner) =>
      rows((row) => row.kind === kind && row.tenant === tenant && row.owner.equals(owner)),
    ofTenant: async (kind, tenant) => rows((row) => row.kind === kind && row.tenant === tenant),
    async after(place: RowPlace | undefined, limit) {
      const from = place ? nameOf('row', place) : '';
      return inOrder(things.row)
        .filter((row) => nameOf('row', row) > from)
        .slice(0, limit);
    },
    async commit(changes) {
      const next: Things = {
        row: new Map(things.row),
        kek: new Map(things.kek),
        slot: new Map(things.slot),
        meta: new Map(things.meta),
      };
      for (const { of, before, after } of changes) {
        const thing = after ?? before;
        if (!thing) continue;
        const those = next[of] as Map<string, object>;
        const name = nameOf(of, thing);
        if (!isDeepStrictEqual(those.get(name), before)) throw new ChangeConflict();
        if (after) those.set(name, after);
        else those.delete(name);
      }
      things = next;
    },
    async scrub() {},
    async close() {},
  };
}

function inOrder<T>(those: ReadonlyMap<string, T>): T[] {
  return [...those].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, thing]) => thing);
}

function nameOf(of: Change['of'], thing: object): string {
  const { kind, id, use, version, label, name } = thing as Record<string, unknown>;
  if (of === 'row') return `${kind} ${(id as Buffer).toString('hex')}`;
  return of === 'kek' ? `${use} ${String(version).padStart(9, '0')}` : String(of === 'slot' ? label : name);
}
