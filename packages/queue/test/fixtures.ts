// What these tests start, in a stack that ends it in reverse order.

import type { EventFields, EventName, Log } from '@sealpost/core';
import { type RedisServer, startRedis } from '@sealpost/testkit';
import { connectRedis, type RedisLink } from '../src/index.ts';

export interface Recorder extends Log {
  readonly events: (readonly [EventName, EventFields | undefined])[];
  names(): EventName[];
}

/** A log that can be asked what was said. */
export function recorder(): Recorder {
  const events: (readonly [EventName, EventFields | undefined])[] = [];
  return {
    events,
    event: (name, fields) => void events.push([name, fields]),
    names: () => events.map(([name]) => name),
  };
}

export async function redisServer(
  stack: AsyncDisposableStack,
  settings: Record<string, string> = {},
): Promise<RedisServer> {
  return stack.use(await startRedis({ settings }));
}

export async function linkTo(
  stack: AsyncDisposableStack,
  { host, port }: RedisServer,
  log: Log = recorder(),
): Promise<RedisLink> {
  return stack.adopt(await connectRedis({ host, port, acceptRisks: [] }, log), (link) => link.close());
}

/** Waits until `condition` holds; fails after `withinMs`. */
export async function until(condition: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not true within ${withinMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
