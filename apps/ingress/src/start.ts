// Puts the ingress together: key service, queue and blob store behind the listeners.

import { connectRedis, cryptoStage, openBlobs, redisLedger } from '@sealpost/queue';
import { connectKeyService, type ServiceContext, showStages } from '@sealpost/service';
import { openIngress, type RunningIngress } from './open-ingress.ts';
import { showRedis } from './show-redis.ts';

export async function start(context: ServiceContext): Promise<RunningIngress> {
  const { config, log, clock, instance, telemetry } = context;
  const keys = connectKeyService(config.keyService, 'ingress', instance, telemetry);
  const redis = await connectRedis(config.redis, log);
  const blobs = await openBlobs(config.blobs, redis);
  const next = cryptoStage(redis);
  const publisher = next.publisher();
  showStages(telemetry, clock, next);
  const tenants = config.tenants.map(({ id }): string => id);
  telemetry.gauge('sealpost_ledger_missing', async () => {
    const missing = await redisLedger(redis).missing(clock.now());
    // The entry's own word for a tenant is never a label: whoever writes to Redis could make series without end.
    const named = missing.map(({ tenant }) => (tenants.includes(tenant) ? tenant : 'none'));
    return [...tenants, 'none'].map((tenant) => ({
      value: named.filter((each) => each === tenant).length,
      labels: { tenant },
    }));
  });
  showRedis(telemetry, redis);
  return openIngress(context, {
    keys,
    blobs,
    publisher,
    isReady: () => redis.isReady(),
    async close() {
      await Promise.allSettled([publisher.close(), blobs.close(), keys.close()]);
      await redis.close();
    },
  });
}
