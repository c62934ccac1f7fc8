// Whether a Redis server keeps what it acknowledged. After `250` a message is ours whatever crashes later (RFC 5321 §6.1), so a
// server that may forget is refused unless the operator accepted that risk by name.

import { SetupError } from '@sealpost/core';
import type { Redis } from 'ioredis';

/** Risks that `redis.acceptRisks` in the configuration may name. */
export type RedisRisk = 'fsync' | 'eviction' | 'persistence';

/** The queue needs ZDIFF and LPOS of 6.2; BullMQ recommends the same floor. */
const oldestVersion = [6, 2] as const;

export interface RedisFinding {
  /** Undefined where no operator may accept it. */
  readonly risk?: RedisRisk;
  /** Names the setting, what it is and what it must be. */
  readonly message: string;
}

/**
 * Reads the server's settings. Throws a `SetupError` that names every finding which `accepted` does not; returns those that it
 * does, for a warning in the log.
 */
export async function checkRedis(client: Redis, accepted: readonly RedisRisk[]): Promise<readonly RedisFinding[]> {
  const findings = await inspect(client);
  const refused = findings.filter(({ risk }) => risk === undefined || !accepted.includes(risk));
  if (refused.length > 0) {
    throw new SetupError(`Redis may lose mail that was accepted: ${refused.map(({ message }) => message).join('; ')}`);
  }
  return findings;
}

async function inspect(client: Redis): Promise<readonly RedisFinding[]> {
  const info = readInfo(await client.info());
  const [appendOnly, fsync] = [await setting(client, 'appendonly'), await setting(client, 'appendfsync')];
  const policy = (await setting(client, 'maxmemory-policy')) ?? info.get('maxmemory_policy');
  const persisted = appendOnly === undefined ? info.get('aof_enabled') === '1' : appendOnly === 'yes';

  const findings: RedisFinding[] = [];
  const version = info.get('redis_version') ?? 'unknown';
  if (!isRecent(version)) {
    findings.push({ message: `its version is ${version} and must be ${oldestVersion.join('.')} or newer` });
  }
  if (!persisted) findings.push(wrong('persistence', 'appendonly', appendOnly, 'yes'));
  else if (fsync !== 'always') findings.push(wrong('fsync', 'appendfsync', fsync, 'always'));
  if (policy !== 'noeviction') findings.push(wrong('eviction', 'maxmemory-policy', policy, 'noeviction'));
  return findings;
}

function wrong(risk: RedisRisk, name: string, value: string | undefined, wanted: string): RedisFinding {
  const is = value === undefined ? 'cannot be read' : `is "${value}"`;
  return {
    risk,
    message: `${name} ${is} and must be "${wanted}" (to run all the same, list "${risk}" in redis.acceptRisks)`,
  };
}

/** One setting; undefined where the server forbids CONFIG, as hosted ones do. */
async function setting(client: Redis, name: string): Promise<string | undefined> {
  try {
    const reply: unknown = await client.config('GET', name);
    return Array.isArray(reply) && typeof reply[1] === 'string' ? reply[1] : undefined;
  } catch (error) {
    if (error instanceof Error && /^(ERR|NOPERM)/.test(error.message)) return undefined;
    throw error;
  }
}

/** The lines `name:value` of INFO. */
export function readInfo(text: string): ReadonlyMap<string, string> {
  return new Map(
    text.split('\r\n').flatMap((line) => {
      const colon = line.indexOf(':');
      return colon < 0 ? [] : [[line.slice(0, colon), line.slice(colon + 1)] as const];
    }),
  );
}

function isRecent(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > oldestVersion[0] || (major === oldestVersion[0] && minor >= oldestVersion[1]);
}
