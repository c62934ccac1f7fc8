// Redis: whether it keeps what it acknowledges, how full it is, and whether its clock is ours.

import { connectRedis, type DefaultUser, redisDefaultUser, redisState } from '@sealpost/queue';
import type { Installation } from '@sealpost/service';
import { type Finding, failed, ok, warning, wordsOf } from './finding.ts';

const patienceMs = 5_000;
/** The ingress refuses mail from 70 % on. */
const fullFrom = 0.5;
/** Tickets and leases are judged by time; a minute is their tolerance. */
const mostSkewMs = 5_000;

export async function examineRedis({ redis: settings }: Installation): Promise<Finding[]> {
  const risks: string[] = [];
  const log = { event: (_: string, fields: { readonly reason?: string } = {}) => void risks.push(fields.reason ?? '') };
  try {
    const link = await connectRedis(settings, log, patienceMs);
    try {
      const before = Date.now();
      const [seconds = 0, micros = 0] = (await link.client.time()).map(Number);
      const skewMs = Math.abs(seconds * 1000 + micros / 1000 - (before + Date.now()) / 2);
      return [
        risks.length === 0
          ? ok('redis', `${settings.host}:${settings.port} keeps what it acknowledges`)
          : warning('redis', risks.join('; '), 'these risks are accepted in redis.acceptRisks; mail may be lost'),
        defaultUserFinding(await redisDefaultUser(link)),
        memory(await redisState(link)),
        clockFinding(skewMs),
      ];
    } finally {
      await link.close();
    }
  } catch (error) {
    return [
      failed(
        'redis',
        wordsOf(error),
        'start it with the settings of docs/operations.md, or correct `redis` in the configuration',
      ),
    ];
  }
}

/**
 * Redis 7.0 reads its append-only file back with the rights of the user `default` and drops, without a word, the transactions that
 * these do not cover: mail was lost at a restart.
 */
function defaultUserFinding(user: DefaultUser): Finding {
  const what = 'redis user default';
  const remedy = 'in the ACL file: `user default on #HASH ~* &* +@all`, with the hash of a password that nobody knows';
  if (user === 'able') return ok(what, 'on, with all rights: what the append-only file holds is read back');
  if (user === 'unknown') {
    return warning(
      what,
      'this user may not ask whether it is on with all rights, as Redis needs it to read its append-only file back',
      'add `+acl|getuser` to the gateway’s user in the ACL file, and look again',
    );
  }
  return failed(what, 'it is off or lacks rights: Redis 7.0 forgets accepted mail at its next restart', remedy);
}

export function clockFinding(skewMs: number): Finding {
  const what = 'clock';
  if (skewMs > mostSkewMs)
    return failed(
      what,
      `Redis' clock is ${Math.round(skewMs / 1000)} s off ours`,
      'run an NTP client on both machines',
    );
  return ok(what, `Redis' clock agrees within ${Math.ceil(skewMs)} ms`);
}

function memory({ usedBytes, limitBytes }: Awaited<ReturnType<typeof redisState>>): Finding {
  const what = 'redis memory';
  if (limitBytes === 0)
    return warning(
      what,
      'there is no `maxmemory`',
      'set one: a machine without memory kills Redis, a full Redis only refuses mail',
    );
  const share = usedBytes / limitBytes;
  const text = `${Math.round(share * 100)} % of ${Math.round(limitBytes / 2 ** 20)} MiB used`;
  if (share >= fullFrom) return warning(what, text, 'find what waits (`sealpost queue status`), or raise `maxmemory`');
  return ok(what, text);
}
