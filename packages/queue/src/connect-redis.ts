// The process's connection to Redis. Commands fail fast while the server is away, so that ingress can answer 451; each time the
// connection comes back, the server's settings are checked again before anything is stored: it may be another server.

import { readFileSync } from 'node:fs';
import { fail, type Log, SetupError } from '@sealpost/core';
import { Redis } from 'ioredis';
import { checkRedis, type RedisRisk } from './check-redis.ts';
import { asQueueError } from './queue-error.ts';

/** Section `redis` of the configuration. */
export interface RedisSettings {
  readonly host: string;
  readonly port: number;
  readonly username?: string | undefined;
  readonly passwordFile?: string | undefined;
  readonly tls?: { readonly caFile: string } | undefined;
  readonly acceptRisks: readonly RedisRisk[];
}

export interface RedisLink {
  /** For commands: rejects at once while the server is away, never waits longer than `commandTimeoutMs`. */
  readonly client: Redis;
  /** Resolves when the server of the present connection keeps what it acknowledges; else `queue-unavailable`. */
  verified(): Promise<void>;
  isReady(): boolean;
  /** A connection of its own for a worker: it waits over an outage of any length. */
  forWorker(): Redis;
  close(): Promise<void>;
}

/** A server that has not answered by then is not going to in time for an SMTP client. */
const commandTimeoutMs = 5_000;
const connectTimeoutMs = 5_000;
/** Longest pause between two tries to connect: mail flows again this soon after an outage. */
const longestPauseMs = 1_000;
/** At start the server may be a little later than we are. */
const startPatienceMs = 30_000;

/** Connects and checks the server; a `SetupError` says what is wrong with it or why it cannot be reached in 30 s. */
export async function connectRedis(
  settings: RedisSettings,
  log: Log,
  patienceMs: number = startPatienceMs,
): Promise<RedisLink> {
  const client = new Redis({
    host: settings.host,
    port: settings.port,
    ...(settings.username === undefined ? {} : { username: settings.username }),
    ...(settings.passwordFile === undefined ? {} : { password: readSecret(settings.passwordFile) }),
    ...(settings.tls ? { tls: { ca: readFileSync(settings.tls.caFile), minVersion: 'TLSv1.2' as const } } : {}),
    enableOfflineQueue: false,
    // One reconnection: every command of ours is harmless to send twice.
    maxRetriesPerRequest: 1,
    commandTimeout: commandTimeoutMs,
    connectTimeout: connectTimeoutMs,
    disableClientInfo: true,
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 8), longestPauseMs),
  });

  let check: Promise<void> = Promise.reject(fail('queue-unavailable'));
  check.catch(() => {});
  let lost = false;
  client.on('ready', () => {
    check = verify(client, settings.acceptRisks, log);
    check.then(
      () => lost && log.event('dependency.back', { dependency: 'redis' }),
      () => {},
    );
  });
  client.on('close', () => {
    check = Promise.reject(fail('queue-unavailable'));
    check.catch(() => {});
    if (!lost) log.event('dependency.lost', { dependency: 'redis' });
    lost = true;
  });
  // Each failed try is an `error`; `close` tells the same once. The last one says why there is no connection at start.
  let lastError: unknown;
  client.on('error', (error) => {
    lastError = error;
  });

  const link: RedisLink = {
    client,
    verified: () => asQueueError(() => check),
    isReady: () => client.status === 'ready',
    forWorker: () =>
      client.duplicate({ enableOfflineQueue: true, maxRetriesPerRequest: null, commandTimeout: undefined }),
    async close() {
      client.removeAllListeners('close');
      client.disconnect();
    },
  };
  try {
    if (!(await ready(client, patienceMs))) {
      const why = lastError instanceof Error ? lastError.message : 'no answer';
      throw new SetupError(`Redis at ${settings.host}:${settings.port} cannot be used: ${why}`, { cause: lastError });
    }
    await check;
    return link;
  } catch (error) {
    await link.close();
    throw error;
  }
}

async function verify(client: Redis, accepted: readonly RedisRisk[], log: Log): Promise<void> {
  try {
    for (const { message } of await checkRedis(client, accepted)) log.event('config.warning', { reason: message });
  } catch (error) {
    if (error instanceof SetupError) log.event('config.warning', { reason: error.message });
    throw error;
  }
}

/** False when the server did not answer in time. */
function ready(client: Redis, patienceMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), patienceMs);
    client.once('ready', () => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}

/** A file's text without the newline that editors end files with. */
function readSecret(path: string): string {
  return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
}
