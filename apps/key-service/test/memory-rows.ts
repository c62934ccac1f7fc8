// Rows in memory: the twin of sqlite-rows.ts, held to the same contract.

import { type Row, type RowPlace, type Rows, RowTaken } from '../src/store/rows.ts';
import type { WrappedKek } from '../src/vault/keks.ts';

export function memoryRows(): Rows {
  let rows = new Map<string, Row>();
  let keks = new Map<string, WrappedKek>();
  let isInside = false;

  const sorted = (): Row[] => [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
  const all = (matches: (row: Row) => boolean): Row[] => [...rows.values()].filter(matches);

  return {
    insert(row) {
      if (rows.has(nameOf(row))) throw new RowTaken();
      rows.set(nameOf(row), row);
    },
    replace(row) {
      rows.set(nameOf(row), row);
    },
    swap(row, before) {
      if (!rows.get(nameOf(row))?.sealed.equals(before)) return false;
      rows.set(nameOf(row), row);
      return true;
    },
    remove: (place) => rows.delete(nameOf(place)),
    get: (place) => rows.get(nameOf(place)),
    ofOwner: (kind, tenant, owner) =>
      all((row) => row.kind === kind && row.tenant === tenant && row.owner.equals(owner)),
    ofTenant: (kind, tenant) => all((row) => row.kind === kind && row.tenant === tenant),
    after(place, limit) {
      const from = place ? nameOf(place) : '';
      return sorted()
        .filter((row) => nameOf(row) > from)
        .slice(0, limit);
    },
    keks: () => [...keks.values()],
    addKek(kek) {
      const name = `${kek.use} ${kek.version}`;
      if (keks.has(name)) throw new RowTaken();
      keks.set(name, kek);
    },
    removeKek({ use, version }) {
      keks.delete(`${use} ${version}`);
    },
    scrub() {},
    transaction(run) {
      if (isInside) return run();
      const kept = { rows: new Map(rows), keks: new Map(keks) };
      isInside = true;
      try {
        return run();
      } catch (error) {
        ({ rows, keks } = kept);
        throw error;
      } finally {
        isInside = false;
      }
    },
  };
}

function nameOf({ kind, id }: RowPlace): string {
  return `${kind} ${id.toString('hex')}`;
}
