// Somebody who signs and encrypts a message, and decrypts and verifies one.

import type { Scene } from './scene.ts';

export type Direction = 'make' | 'read';

export interface Contender {
  readonly name: string;
  /** Why this cannot be measured for a scene; undefined when it can. */
  skip(scene: Scene, direction: Direction): string | undefined;
  /** Milliseconds of processor time for one message, the mean of `times`. */
  measure(scene: Scene, direction: Direction, times: number): Promise<number>;
}

/** A gateway runs for weeks: what is measured is compiled code. */
const WARM_UP_TIMES = 4000;
const WARM_UP_MS = 4000;

const LARGE = 10_000_000;

async function warmUp(once: () => unknown): Promise<void> {
  const end = performance.now() + WARM_UP_MS;
  for (let count = 0; count < WARM_UP_TIMES && performance.now() < end; count++) await once();
}

/** One that works in this process: time is that of the whole process, collections included. */
export function inProcess(
  name: string,
  work: (scene: Scene) => Promise<Record<Direction, () => unknown>> | Record<Direction, () => unknown>,
  skip: Contender['skip'] = () => undefined,
): Contender {
  const prepared = new Map<Scene, Record<Direction, () => unknown>>();
  const warm = new Set<() => unknown>();
  return {
    name,
    skip,
    async measure(scene, direction, times) {
      const ready = prepared.get(scene) ?? (await work(scene));
      prepared.set(scene, ready);
      const once = ready[direction];
      if (!warm.has(once)) await warmUp(once);
      warm.add(once);
      // Large buffers that others left behind are not to be paid for here. Small ones are gone soon, and a forced
      // collection throws compiled code away.
      if (scene.bytes >= LARGE) globalThis.gc?.();
      for (let count = 0; count <= times / 4; count++) await once();
      const start = process.cpuUsage();
      for (let count = 0; count < times; count++) await once();
      const { user, system } = process.cpuUsage(start);
      return (user + system) / 1000 / times;
    },
  };
}
