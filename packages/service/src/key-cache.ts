// What a stage remembers of the key service: fresh for a while, then asked for again; while the service is away, what was
// remembered serves on until it is too old. One question at a time for each name, and a bound on how much is kept.

import { codeOf } from '@sealpost/core';

export interface Remembered<T> {
  readonly value: T;
  /** Until then it is not asked for again. */
  readonly freshUntil: number;
  /** Until then it serves when the service cannot be asked. */
  readonly usableUntil: number;
}

export interface KeyCache<T> {
  /** The value remembered for a name, or what `load` finds; its error when there is nothing usable. */
  get(name: string, load: () => Promise<Remembered<T>>): Promise<T>;
  /** Forgets a name, or all; what is being loaded goes to whoever asked and is not kept. */
  drop(name?: string): void;
  /** Forgets what is not usable any more. */
  sweep(): void;
}

/** Codes of a service that is there but gives nothing now, beside one that is not there. */
const away: readonly string[] = [
  'key-service-unavailable',
  'key-service-sealed',
  'audit-unavailable',
  'lease-overloaded',
];
/** After a failure, what is remembered serves this long before the service is asked again. */
const retryAfterMs = 2_000;

/** How a question was answered: from memory, by the service, or from memory because the service is away. */
export type CacheResult = 'hit' | 'miss' | 'stale';

export function keyCache<T>(
  maxEntries: number,
  now: () => number,
  tell: (result: CacheResult) => void = () => undefined,
): KeyCache<T> {
  const entries = new Map<string, Remembered<T>>();
  const loading = new Map<string, Promise<T>>();
  let drops = 0;

  function keep(name: string, entry: Remembered<T>): void {
    entries.delete(name);
    entries.set(name, entry);
    // The one longest not renewed goes first.
    if (entries.size > maxEntries) entries.delete(entries.keys().next().value ?? '');
  }

  async function refresh(name: string, load: () => Promise<Remembered<T>>): Promise<T> {
    try {
      const dropsBefore = drops;
      const entry = await load();
      if (drops === dropsBefore) keep(name, entry);
      tell('miss');
      return entry.value;
    } catch (error) {
      const old = entries.get(name);
      const usable = old && old.usableUntil > now() && away.includes(codeOf(error));
      if (!usable) {
        entries.delete(name);
        tell('miss');
        throw error;
      }
      tell('stale');
      keep(name, { ...old, freshUntil: Math.min(now() + retryAfterMs, old.usableUntil) });
      return old.value;
    }
  }

  return {
    drop(name) {
      drops += 1;
      if (name === undefined) entries.clear();
      else entries.delete(name);
    },
    sweep() {
      for (const [name, { usableUntil }] of entries) if (usableUntil <= now()) entries.delete(name);
    },
    async get(name, load) {
      const known = entries.get(name);
      if (known && known.freshUntil > now()) {
        tell('hit');
        return known.value;
      }
      const asked = loading.get(name);
      if (asked) return await asked;
      const promise = refresh(name, load).finally(() => loading.delete(name));
      loading.set(name, promise);
      return await promise;
    },
  };
}
