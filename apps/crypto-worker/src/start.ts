// Puts the worker together: queue, blobs, key service, watchdog; and takes it apart again.

import { connectRedis, cryptoStage, deliveryStage, openBlobs, redisMarks } from '@sealpost/queue';
import {
  connectKeyService,
  type RunningService,
  type ServiceContext,
  showStages,
  spoolSessions,
  stageMeters,
  ticketLifeMs,
} from '@sealpost/service';
import { cryptoHandler } from './pipeline.ts';
import { tickets } from './tickets.ts';
import { watchdog } from './watchdog.ts';
import type { Worker } from './worker.ts';

const hourMs = 60 * 60_000;
/** Jobs wait and none was fetched for this long: only a restart helps. Above any pause that a healthy worker makes. */
const deafMs = 120_000;
/** Of the deadline for stopping, what is kept for closing connections after the last job. */
const closingMs = 1_000;

export async function start({ config, log, clock, telemetry, instance }: ServiceContext): Promise<RunningService> {
  const redis = await connectRedis(config.redis, log);
  const blobs = await openBlobs(config.blobs, redis);
  const keys = connectKeyService(config.keyService, 'crypto-worker', instance, telemetry);
  const stage = cryptoStage(redis);
  const next = deliveryStage(redis);
  const deliveries = next.publisher();
  const lifeMs = ticketLifeMs(config.queue);
  const worker: Worker = {
    installation: config.installation,
    policies: new Map(config.tenants.map(({ id, policy }) => [id, policy])),
    maxAgeMs: config.queue.maxAgeHours * hourMs,
    ticketLifeMs: lifeMs,
    keys,
    sessions: spoolSessions(),
    tickets: tickets(keys, lifeMs),
    blobs,
    marks: redisMarks(redis),
    deliveries,
    clock,
    log,
    telemetry,
  };
  const guard = watchdog();
  const handle = cryptoHandler(worker);
  const consumer = stage.consume((...given) => guard.watch(() => handle(...given)), {
    concurrency: config.worker.concurrency,
    queue: config.queue,
    blobs,
    clock,
    log,
    ...stageMeters(telemetry, 'crypto'),
  });

  showStages(telemetry, clock, stage, next);

  return {
    isReady: () => redis.isReady(),
    isLive: async () => (await consumer.idleWithBacklogMs()) < deafMs,
    async stop(deadlineMs) {
      await consumer.close(Math.max(0, deadlineMs - closingMs));
      await Promise.all([guard.stop(), deliveries.close(), keys.close(), blobs.close()]);
      await redis.close();
    },
  };
}
