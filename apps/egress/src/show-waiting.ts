// Who waits, as metrics: by route always, by domain where the configuration asks for it.

import type { Clock } from '@sealpost/core';
import type { EgressConfig, Telemetry } from '@sealpost/service';
import { noRoute } from './tell.ts';
import type { Line, Waiting } from './waiting.ts';

export function showWaiting(
  telemetry: Telemetry,
  clock: Clock,
  waiting: Waiting,
  { routes, waitingDomains }: Pick<EgressConfig, 'routes' | 'waitingDomains'>,
): void {
  const seconds = ({ since }: Line, now: Date): number => Math.max(0, now.getTime() - since.getTime()) / 1_000;

  /** Every route has its line, so that one where nobody waits is seen to be empty. */
  function readRoutes(read: (line: Line, now: Date) => number) {
    const now = clock.now();
    const lines = new Map(waiting.byRoute(now).map((line) => [line.name, read(line, now)]));
    const names = new Set([...routes.map(({ name }) => name), noRoute]);
    return [...names].map((route) => ({ value: lines.get(route) ?? 0, labels: { route } }));
  }
  telemetry.gauge('sealpost_route_oldest_seconds', () => readRoutes(seconds));
  telemetry.gauge('sealpost_route_waiting_recipients', () => readRoutes(({ recipients }) => recipients));

  if (waitingDomains === 0) return;
  function readDomains(read: (line: Line, now: Date) => number) {
    const now = clock.now();
    const lines = waiting.byDomain(now, waitingDomains);
    return lines.map((line) => ({ value: read(line, now), labels: { domain: line.name } }));
  }
  telemetry.gauge('sealpost_domain_oldest_seconds', () => readDomains(seconds));
  telemetry.gauge('sealpost_domain_waiting_recipients', () => readDomains(({ recipients }) => recipients));
}
