// A route at run time: admission, kept sessions and transactions with one next hop. What cannot be reached or has no place comes
// back as a fact, never as an error, because other routes of the same delivery go on.

import { type Clock, codeOf, type ErrorCode } from '@sealpost/core';
import type { RouteConfig, Telemetry } from '@sealpost/service';
import type { Connection } from './connection.ts';
import { connections } from './connections.ts';
import { lane } from './lane.ts';
import type { RouteRule } from './route.ts';
import { type Transaction, type TransactionResult, transact } from './transaction.ts';

export type Attempt =
  | { readonly kind: 'answered'; readonly result: TransactionResult }
  /** Tried, and not reached. */
  | { readonly kind: 'unreached'; readonly code: ErrorCode }
  /** Not tried: no place before `at`. */
  | { readonly kind: 'parked'; readonly at: Date; readonly code: ErrorCode };

export interface NextHop extends RouteRule {
  readonly recipientsPerTransaction: number;
  /** Never throws. */
  deliver(transaction: Transaction): Promise<Attempt>;
  connectionCount(): number;
  bytesHeld(): number;
  /** No idle sessions any more. */
  close(): void;
  /** Transactions before their last byte are given up. */
  destroy(): void;
}

export interface NextHopTools {
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** 0 ≤ n < 1, for jitter. */
  readonly random: () => number;
  readonly open: () => Promise<Connection>;
  /** Deliveries of the process that this route may hold at a time. */
  readonly share: number;
}

export function nextHop(route: RouteConfig, { clock, telemetry, random, open, share }: NextHopTools): NextHop {
  const places = lane({ ...route, share }, clock, random);
  const sessions = connections(
    { messagesPerConnection: route.messagesPerConnection, idleMs: route.idleSeconds * 1000 },
    open,
  );

  async function attempt(transaction: Transaction, fresh: boolean): Promise<Attempt> {
    const lent = await telemetry
      .span('egress.connect', { route: route.name }, () => sessions.take(fresh))
      .catch((error: unknown) => ({ code: codeOf(error) }));
    if ('code' in lent) {
      places.failed();
      return { kind: 'unreached', code: lent.code };
    }
    places.reached();
    const result = await telemetry.span(
      'egress.send',
      { route: route.name, recipients: transaction.recipients.length },
      () => transact(lent.connection, transaction),
      { kind: 'client' },
    );
    sessions.give(lent.connection);
    // A kept session that had died is no failure of the next hop; a new one tells the truth.
    return result.untouched && lent.isReused ? attempt(transaction, true) : { kind: 'answered', result };
  }

  return {
    name: route.name,
    direction: route.direction,
    domains: route.domains,
    recipientsPerTransaction: route.recipientsPerTransaction,
    async deliver(transaction) {
      const bytes = transaction.message.reduce((sum, part) => sum + part.length, 0);
      const admission = await places.enter(bytes);
      if (admission.kind === 'later') {
        return { kind: 'parked', at: admission.at, code: admission.resting ? 'next-hop-unavailable' : 'route-busy' };
      }
      const started = performance.now();
      try {
        return await attempt(transaction, false);
      } finally {
        places.leave(bytes, performance.now() - started);
      }
    },
    connectionCount: sessions.count,
    bytesHeld: places.bytesHeld,
    close: sessions.close,
    destroy: sessions.destroy,
  };
}
