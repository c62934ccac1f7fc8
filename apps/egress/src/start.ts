// Puts the egress together: queue, blobs, key service, next hops; and takes it apart again.

import { connectRedis, deliveryStage, openBlobs, redisMarks } from '@sealpost/queue';
import {
  connectKeyService,
  type Installation,
  type RouteConfig,
  type RunningService,
  readAuthorities,
  readSecret,
  type ServiceContext,
  showStages,
  stageMeters,
  ticketLifeMs,
} from '@sealpost/service';
import { connect, type Peer } from './connection.ts';
import { nextHop } from './next-hop.ts';
import { deliver } from './pipeline.ts';
import { showWaiting } from './show-waiting.ts';
import { waiting } from './waiting.ts';

const hourMs = 60 * 60_000;
/** Jobs wait and none was fetched for this long: only a restart helps. Above any pause that a healthy process makes. */
const deafMs = 120_000;
/** Kept of the deadline for closing what has to be closed after the deliveries in hand. */
const closingMs = 500;

export async function start({ config, log, clock, telemetry, instance }: ServiceContext): Promise<RunningService> {
  // Before anything connects: a file that cannot be read is a start that cannot succeed.
  const routes = config.egress.routes.map((route) => ({ route, peer: peerOf(route, config) }));
  const redis = await connectRedis(config.redis, log);
  const blobs = await openBlobs(config.blobs, redis);
  const keys = connectKeyService(config.keyService, 'egress', instance, telemetry);
  const stage = deliveryStage(redis);
  const publisher = stage.publisher();
  const { concurrency } = config.egress;
  // A next hop that hangs must leave room for the others.
  const share = routes.length > 1 ? Math.ceil(concurrency / 2) : concurrency;
  const hops = routes.map(({ route, peer }) =>
    nextHop(route, {
      clock,
      telemetry,
      random: Math.random,
      share,
      open: () =>
        connect({
          ...peer,
          onTls: (tls) => telemetry.count('sealpost_route_sessions_total', { route: route.name, tls }),
        }),
    }),
  );
  const line = waiting();
  showWaiting(telemetry, clock, line, config.egress);
  const maxAgeMs = config.queue.maxAgeHours * hourMs;
  const handle = deliver({
    keys,
    blobs,
    publisher,
    marks: redisMarks(redis),
    clock,
    log,
    telemetry,
    random: Math.random,
    hops,
    waiting: line,
    installation: config.installation,
    ticketLifeMs: ticketLifeMs(config.queue),
    markLifeMs: ticketLifeMs(config.queue),
    rules: { maxAgeMs, delayNoticeMs: config.egress.delayNoticeHours * hourMs },
  });
  const consumer = stage.consume(handle, {
    concurrency,
    queue: config.queue,
    blobs,
    clock,
    log,
    ...stageMeters(telemetry, 'delivery'),
  });

  // From 0, so that the first bounces and failures of a route are an increase, as Prometheus sees it.
  for (const { name: route, direction } of config.egress.routes) {
    for (const code of ['next-hop-unavailable', 'next-hop-tls'] as const)
      telemetry.count('sealpost_deliveries_deferred_total', { route, code }, 0);
    for (const each of direction === undefined ? (['outbound', 'inbound'] as const) : [direction]) {
      for (const outcome of ['delivered', 'bounced'] as const)
        telemetry.count('sealpost_recipients_settled_total', { direction: each, route, outcome }, 0);
    }
  }

  telemetry.gauge('sealpost_route_connections', () =>
    hops.map((hop) => ({ value: hop.connectionCount(), labels: { route: hop.name } })),
  );
  telemetry.gauge('sealpost_route_bytes_in_flight', () =>
    hops.map((hop) => ({ value: hop.bytesHeld(), labels: { route: hop.name } })),
  );
  showStages(telemetry, clock, stage);

  return {
    isReady: () => redis.isReady(),
    isLive: async () => (await consumer.idleWithBacklogMs()) < deafMs,
    async stop(deadlineMs) {
      for (const hop of hops) hop.close();
      await consumer.close(Math.max(0, deadlineMs - closingMs));
      for (const hop of hops) hop.destroy();
      await Promise.all([publisher.close(), keys.close(), blobs.close()]);
      await redis.close();
    },
  };
}

function peerOf(route: RouteConfig, { installation, egress }: Installation): Peer {
  const { nextHop: server, tls, caFile, serverName, authentication } = route;
  return {
    ...server,
    helloName: installation,
    tls,
    ca: caFile === undefined ? undefined : readAuthorities(caFile).toString(),
    serverName,
    login: authentication && {
      user: readSecret(authentication.userFile),
      pass: readSecret(authentication.passwordFile),
    },
    connectMs: egress.connectSeconds * 1000,
    replyMs: egress.replySeconds * 1000,
  };
}
