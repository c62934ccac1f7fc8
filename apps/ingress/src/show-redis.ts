// How Redis stands, as metrics. The ingress shows it: it is the one that has to refuse mail when Redis fills.

import { type RedisLink, type RedisState, redisState } from '@sealpost/queue';
import type { Telemetry } from '@sealpost/service';

/** One reading serves a whole scrape. */
const readingLifeMs = 500;

export function showRedis(telemetry: Telemetry, redis: RedisLink): void {
  let reading: Promise<RedisState> | undefined;
  let readAt = 0;

  function state(): Promise<RedisState> {
    if (reading === undefined || performance.now() - readAt > readingLifeMs) {
      readAt = performance.now();
      reading = redisState(redis);
    }
    return reading;
  }

  telemetry.gauge('sealpost_redis_memory_bytes', async () => {
    const { usedBytes, limitBytes } = await state();
    return [
      { value: usedBytes, labels: { which: 'used' } },
      { value: limitBytes, labels: { which: 'limit' } },
    ];
  });
  telemetry.gauge('sealpost_redis_persisting', async () => ((await state()).isPersisting ? 1 : 0));
  telemetry.gauge('sealpost_redis_commands_total', async () => (await state()).commands);
  telemetry.gauge('sealpost_redis_cpu_seconds_total', async () => (await state()).cpuSeconds);
  telemetry.gauge('sealpost_redis_network_bytes_total', async () => {
    const { bytesIn, bytesOut } = await state();
    return [
      { value: bytesIn, labels: { direction: 'in' } },
      { value: bytesOut, labels: { direction: 'out' } },
    ];
  });
}
