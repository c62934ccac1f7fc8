// What one client, and all of them together, may take: sessions, messages a minute, bytes in flight.

import { isIP } from 'node:net';
import { type Clock, fail } from '@sealpost/core';

/** Idle time between commands (RFC 5321 §4.5.3.2 asks for five minutes). */
export const idleMs = 5 * 60_000;
/** A client slower than this in its DATA, measured from the start, holds a session for nothing. Modems were faster. */
export const slowestBytesPerSecond = 256;
/** Time before the rate counts: connections start slowly, and small messages are one round trip. */
export const slowStartMs = 30_000;
/** Recipients refused in one session before it ends: beyond this somebody reads the address list out (directory harvest). */
export const maxRefusedRecipients = 50;
/** Clients remembered at once; beyond this those with nothing open are forgotten, which is generous to them. */
const maxClients = 50_000;
const minuteMs = 60_000;

/** Bytes of messages that are in this process at once. */
export interface ByteBudget {
  readonly used: number;
  readonly limit: number;
  /** An account that starts empty. */
  open(): Reservation;
}

export interface Reservation {
  /** False, and nothing taken, where the budget has no room for that many more. */
  grow(bytes: number): boolean;
  /** Gives everything back; once is enough, again is harmless. */
  release(): void;
}

export function byteBudget(limit: number): ByteBudget {
  let used = 0;
  return {
    limit,
    get used() {
      return used;
    },
    open() {
      let held = 0;
      return {
        grow(bytes) {
          if (used + bytes > limit) return false;
          used += bytes;
          held += bytes;
          return true;
        },
        release() {
          used -= held;
          held = 0;
        },
      };
    },
  };
}

export interface ClientLimits {
  /** Counts a session; the result ends it. Errors: `too-many-sessions`. */
  enter(address: string): () => void;
  /** Counts a message. Errors: `rate-limited`. */
  message(address: string): void;
}

interface Account {
  sessions: number;
  /** Messages that may come now; refilled evenly. */
  tokens: number;
  filledAt: number;
}

/** `messagesPerMinute` 0 means no limit. */
export function clientLimits(
  limits: { readonly sessions: number; readonly messagesPerMinute: number },
  clock: Clock,
): ClientLimits {
  const accounts = new Map<string, Account>();

  function accountOf(address: string): Account {
    const key = networkOf(address);
    const known = accounts.get(key);
    if (known) return known;
    if (accounts.size >= maxClients) forgetIdle(accounts);
    const account = { sessions: 0, tokens: limits.messagesPerMinute, filledAt: clock.now().getTime() };
    accounts.set(key, account);
    return account;
  }

  return {
    enter(address) {
      const account = accountOf(address);
      if (account.sessions >= limits.sessions) throw fail('too-many-sessions');
      account.sessions++;
      let left = false;
      return () => {
        if (left) return;
        left = true;
        account.sessions--;
      };
    },
    message(address) {
      if (limits.messagesPerMinute === 0) return;
      const account = accountOf(address);
      const now = clock.now().getTime();
      const refilled = account.tokens + ((now - account.filledAt) * limits.messagesPerMinute) / minuteMs;
      account.tokens = Math.min(limits.messagesPerMinute, refilled);
      account.filledAt = now;
      if (account.tokens < 1) throw fail('rate-limited');
      account.tokens--;
    },
  };
}

function forgetIdle(accounts: Map<string, Account>): void {
  for (const [key, { sessions }] of accounts) if (sessions === 0) accounts.delete(key);
}

/** Whoever has an IPv6 address has at least 2^64 of them: the /64 counts. */
function networkOf(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  const rest = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? [] : Array<string>(Math.max(0, 8 - groups.length - rest.length)).fill('0');
  return [...groups, ...zeros, ...rest].slice(0, 4).join(':');
}
