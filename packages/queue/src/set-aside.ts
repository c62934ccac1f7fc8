// The index of what is set aside. A job in quarantine is a failed job of BullMQ (its data stays, and its id keeps publishing it
// again harmless) together with an entry here, which counts against the caps in number and bytes and says when it ends.

import { type ErrorCode, isErrorCode, type QuarantineEntry, type StageName, tenantId } from '@sealpost/core';
import type { RedisLink } from './connect-redis.ts';
import { keyPrefix, stageKey } from './stage-shape.ts';

/** Section `queue.quarantine` of the configuration. */
export interface QuarantineLimits {
  readonly days: number;
  readonly maxMessages: number;
  readonly maxBytes: number;
}

/** Sum of the bytes of all entries, both stages. */
const bytesKey = `${keyPrefix}:aside:bytes`;
/** Sorted set: id → when it ends, in milliseconds. */
const untilKey = (stage: StageName): string => `${keyPrefix}:aside:${stage}:until`;
/** Hash: id → the entry as text, its bytes first so that scripts can read them. */
const entryKey = (stage: StageName): string => `${keyPrefix}:aside:${stage}:entry`;

/** KEYS both stages' until sets (own first), entries, bytes; ARGV id, until, bytes, most entries, most bytes, entry. */
const reserveScript = `
local before = redis.call('HGET', KEYS[3], ARGV[1])
local freed = before and tonumber(string.match(before, '^%d+')) or 0
local count = redis.call('ZCARD', KEYS[1]) + redis.call('ZCARD', KEYS[2])
local grown = tonumber(redis.call('GET', KEYS[4]) or '0') - freed + tonumber(ARGV[3])
if (not before and count >= tonumber(ARGV[4])) or grown > tonumber(ARGV[5]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[6])
redis.call('SET', KEYS[4], string.format('%.0f', grown))
return 1`;

const forget = `
local entry = redis.call('HGET', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
local freed = entry and tonumber(string.match(entry, '^%d+')) or 0
if freed > 0 then redis.call('DECRBY', KEYS[3], string.format('%.0f', freed)) end`;

/** KEYS until set, entries, bytes; ARGV id. */
const releaseScript = `${forget}
return 1`;

/** KEYS until set, entries, bytes, failed set, job; ARGV id, now. Ends the entry and its job in one step; 1 if there was a job. */
const endScript = `
local till = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not till or tonumber(till) > tonumber(ARGV[2]) then return 0 end
${forget}
if redis.call('ZREM', KEYS[4], ARGV[1]) == 0 then return 0 end
redis.call('DEL', KEYS[5])
return 1`;

export interface AsideIndex {
  /** Takes a place for the entry; false when the quarantine is full. An id that has a place keeps one. */
  reserve(entry: QuarantineEntry, limits: QuarantineLimits): Promise<boolean>;
  release(stage: StageName, id: string): Promise<void>;
  /** Ends an entry whose time is over together with its job; false when the job went back to work meanwhile. */
  end(stage: StageName, id: string, now: Date): Promise<boolean>;
  /** Ids whose time is over. */
  due(stage: StageName, now: Date, limit: number): Promise<readonly string[]>;
  get(stage: StageName, id: string): Promise<QuarantineEntry | undefined>;
  newest(stage: StageName, limit: number): Promise<readonly QuarantineEntry[]>;
  /** Failed jobs without an entry. */
  unlisted(stage: StageName): Promise<readonly string[]>;
  /** Entries without a failed job. */
  unfounded(stage: StageName): Promise<readonly string[]>;
}

export function asideIndex({ client }: RedisLink): AsideIndex {
  const other = (stage: StageName): StageName => (stage === 'crypto' ? 'delivery' : 'crypto');
  const failedKey = (stage: StageName): string => stageKey(stage, 'failed');

  const index: AsideIndex = {
    async reserve(entry, limits) {
      const keys = [untilKey(entry.stage), untilKey(other(entry.stage)), entryKey(entry.stage), bytesKey];
      const until = entry.until.getTime();
      const caps = [limits.maxMessages, limits.maxBytes];
      return (await client.eval(reserveScript, 4, ...keys, entry.id, until, entry.bytes, ...caps, write(entry))) === 1;
    },
    async release(stage, id) {
      await client.eval(releaseScript, 3, untilKey(stage), entryKey(stage), bytesKey, id);
    },
    async end(stage, id, now) {
      const keys = [untilKey(stage), entryKey(stage), bytesKey, failedKey(stage), stageKey(stage, id)];
      return (await client.eval(endScript, 5, ...keys, id, now.getTime())) === 1;
    },
    due: (stage, now, limit) => client.zrangebyscore(untilKey(stage), 0, now.getTime(), 'LIMIT', 0, limit),
    async get(stage, id) {
      const [text, until] = await Promise.all([
        client.hget(entryKey(stage), id),
        client.zscore(untilKey(stage), id).then(Number),
      ]);
      return text ? read(stage, id, until, text) : undefined;
    },
    async newest(stage, limit) {
      const ids = await client.zrevrange(untilKey(stage), 0, limit - 1);
      const entries = await Promise.all(ids.map((id) => index.get(stage, id)));
      return entries.filter((entry) => entry !== undefined);
    },
    unlisted: (stage) => client.zdiff(2, failedKey(stage), untilKey(stage)),
    unfounded: (stage) => client.zdiff(2, untilKey(stage), failedKey(stage)),
  };
  return index;
}

function write({ bytes, code, tenant, since }: QuarantineEntry): string {
  return [bytes, code, tenant, since.getTime()].join(' ');
}

/** Undefined for text that we did not write: whoever can write to Redis must not be able to break the list. */
function read(stage: StageName, id: string, until: number, text: string): QuarantineEntry | undefined {
  const [bytes, code, tenant, since] = text.split(' ');
  if (!code || !isErrorCode(code) || !tenant) return undefined;
  const known: ErrorCode = code;
  try {
    return {
      id,
      stage,
      tenant: tenantId(tenant),
      code: known,
      bytes: Number(bytes),
      since: new Date(Number(since)),
      until: new Date(until),
    };
  } catch {
    return undefined;
  }
}
