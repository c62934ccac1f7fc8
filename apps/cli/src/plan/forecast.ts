// How many processes of each kind a load needs, so that messages get through in time: queues in a row, each with its own servers.

import { gammaQuantile, normalQuantiles, slowdown, waiting } from './queueing.ts';

/** What a message goes through, in order; Redis is one server, whatever the load. */
export const parts = ['ingress', 'redis', 'crypto-worker', 'egress'] as const;
export type Part = (typeof parts)[number];

/** Mean seconds of processor time of one message in each part. */
export type ServiceTimes = Readonly<Record<Part, number>>;

export interface Demand {
  /** Messages a second. */
  readonly rate: number;
  readonly service: ServiceTimes;
  /** cs² of the service times. */
  readonly variability: number;
  /** Seconds in which 99 of 100 messages must be through. */
  readonly p99: number;
  /** Processor cores that all processes share; a core for each unless said. */
  readonly cores?: number;
  /** Seconds of processor time for each message that something else on these cores takes. */
  readonly beside?: number;
  /** Seconds that a message takes beyond processor time while it is alone: disks, the network. */
  readonly idle?: number;
}

interface PartForecast {
  readonly part: Part;
  readonly processes: number;
  readonly utilisation: number;
  /** Seconds, of processor time. */
  readonly service: number;
  readonly wait: Quantiles;
}

interface Quantiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
}

export interface Forecast {
  readonly parts: readonly PartForecast[];
  /** From the last byte at the ingress to the last byte handed to the next hop, without the network and the next hop's own time. */
  readonly total: Quantiles;
  /** Whether the target is met with no part used more than it should be. */
  readonly met: boolean;
  /** The part of which more would be needed than there can be. */
  readonly limit?: Part;
}

/** Above this share a short burst already makes a long queue, and one process that fails takes the others with it. */
const mostUsed = 0.8;
/** More of one kind is beyond what one Redis feeds. */
const mostProcesses = 512;

type Counts = Readonly<Record<Part, number>>;

/** What `counts` processes do under a load. */
export function forecast(demand: Demand, counts: Counts): Forecast {
  const { rate, service, variability, p99, idle = 0 } = demand;
  const queues = parts.map((part) => {
    const alone = waiting({ rate, service: service[part], variability, servers: counts[part] });
    const { longer, queue } = shared(demand, part, counts);
    const isEndless = queue.mean === Number.POSITIVE_INFINITY;
    return {
      part,
      queue,
      alone,
      lost: isEndless ? queue.mean : queue.mean - alone.mean + (longer - 1) * service[part],
    };
  });
  const lost = sum(queues.map((each) => each.lost));
  const mean = lost + sum(queues.map(({ part, alone }) => alone.mean + service[part]));
  // What the shared cores cost is long in all parts at the same moments, so it adds up as one, exponentially distributed.
  const variance = lost ** 2 + sum(queues.map(({ part, alone }) => alone.variance + variability * service[part] ** 2));
  const total = quantiles((name) => idle + gammaQuantile(mean, variance, normalQuantiles[name]));
  const limit = queues.find(({ part, queue }) => part === 'redis' && queue.utilisation > mostUsed)?.part;
  return {
    parts: queues.map(({ part, queue }) => ({
      part,
      processes: counts[part],
      utilisation: queue.utilisation,
      service: service[part],
      wait: quantiles((name) => queue.quantile(shares[name])),
    })),
    total,
    met: total.p99 <= p99 && queues.every(({ queue }) => queue.utilisation <= mostUsed),
    ...(limit ? { limit } : {}),
  };
}

/** The fewest processes that do it; where none do, the forecast of what comes nearest, not `met`. */
export function plan(demand: Demand): Forecast {
  const counts = Object.fromEntries(parts.map((part) => [part, fewest(demand, part)])) as Record<Part, number>;
  const wait = (part: Part): number => shared(demand, part, counts).queue.mean;
  let best = forecast(demand, counts);
  while (!best.met && !best.limit) {
    const slowest = scalable.reduce((a, b) => (wait(b) > wait(a) ? b : a));
    if (counts[slowest] >= mostProcesses) break;
    counts[slowest]++;
    const next = forecast(demand, counts);
    // Where more of the slowest changes nothing, the work itself takes too long.
    if (next.total.p99 > best.total.p99 * 0.9999) break;
    best = next;
  }
  return best;
}

const scalable = parts.filter((part) => part !== 'redis');
const shares = { p50: 0.5, p90: 0.9, p99: 0.99 } as const;

/** A part's queue where its work takes `longer` times its own time, on the cores that it shares with the others. */
function shared({ rate, service, variability, cores, beside = 0 }: Demand, part: Part, counts: Counts) {
  const others = beside + sum(parts.map((each) => service[each])) - service[part] / counts[part];
  const longer = cores === undefined ? 1 : slowdown(cores, rate * others);
  return { longer, queue: waiting({ rate, service: longer * service[part], variability, servers: counts[part] }) };
}

function fewest({ rate, service }: Demand, part: Part): number {
  return part === 'redis' ? 1 : Math.min(mostProcesses, Math.max(1, Math.ceil((rate * service[part]) / mostUsed)));
}

function quantiles(of: (name: keyof Quantiles) => number): Quantiles {
  return { p50: of('p50'), p90: of('p90'), p99: of('p99') };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
