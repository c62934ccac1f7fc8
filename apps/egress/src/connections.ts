// Open sessions of one route, kept for the next message: a session per message would cost its handshakes, and early-talker waits,
// every time. Bounded in messages and in idle time; a session that ends while idle is forgotten.

import { fail } from '@sealpost/core';
import type { Connection } from './connection.ts';

export interface ReuseLimits {
  readonly messagesPerConnection: number;
  readonly idleMs: number;
}

interface Lent {
  readonly connection: Connection;
  /** It carried a message before, so it may have died unnoticed. */
  readonly isReused: boolean;
}

export interface Connections {
  /** An idle session, or a new one; `fresh` asks for a new one. Errors: as `open` throws. */
  take(fresh: boolean): Promise<Lent>;
  /** Every `take` ends with this; a session that is not open any more is forgotten. */
  give(connection: Connection): void;
  /** Open sessions, lent ones included. */
  count(): number;
  /** Ends idle sessions politely; lent ones end when given back. */
  close(): void;
  /** Ends every session at once, and opens no more. */
  destroy(): void;
}

export function connections(limits: ReuseLimits, open: () => Promise<Connection>): Connections {
  const carried = new Map<Connection, number>();
  const idle = new Map<Connection, NodeJS.Timeout>();
  let isClosed = false;
  let isDestroyed = false;

  function takeIdle(): Connection | undefined {
    // The most recently used one is the least likely to be dead.
    const connection = [...idle.keys()].at(-1);
    if (connection) stopIdling(connection);
    return connection;
  }

  function stopIdling(connection: Connection): void {
    clearTimeout(idle.get(connection));
    idle.delete(connection);
  }

  function retire(connection: Connection): void {
    stopIdling(connection);
    connection.quit();
  }

  return {
    async take(fresh) {
      const kept = fresh ? undefined : takeIdle();
      if (kept) return { connection: kept, isReused: true };
      const connection = await open();
      if (isDestroyed) {
        connection.destroy();
        throw fail('next-hop-unavailable');
      }
      carried.set(connection, 0);
      connection.onClose(() => {
        stopIdling(connection);
        carried.delete(connection);
      });
      return { connection, isReused: false };
    },
    give(connection) {
      if (!connection.isOpen()) return;
      const messages = (carried.get(connection) ?? 0) + 1;
      carried.set(connection, messages);
      if (isClosed || messages >= limits.messagesPerConnection) return retire(connection);
      idle.set(
        connection,
        setTimeout(() => retire(connection), limits.idleMs),
      );
    },
    count: () => carried.size,
    close() {
      isClosed = true;
      for (const connection of [...idle.keys()]) retire(connection);
    },
    destroy() {
      isClosed = true;
      isDestroyed = true;
      for (const connection of [...carried.keys()]) connection.destroy();
    },
  };
}
