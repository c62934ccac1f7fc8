// Waiting in a queue before several equal servers, M/G/c: mail arrives at random (Poisson), each message takes a server for a time
// of any distribution. Exact for M/M/c and, in the mean, for M/G/1; between those the approximation of Lee and Longton (1959): the
// wait of M/M/c times (1 + cs²) / 2. The part that waits at all is taken for exponentially distributed, as it is in M/M/c.

export interface Queue {
  /** Messages that arrive in a second. */
  readonly rate: number;
  /** Mean seconds that one message takes one server. */
  readonly service: number;
  /** cs²: variance of the service time divided by the square of its mean; 0 for always the same, 1 for exponential. */
  readonly variability: number;
  readonly servers: number;
}

/**
 * How many times longer a piece of work takes when processes that use `used` cores' worth of time share `cores` of them: the mean of
 * M/G/c with processor sharing, whatever the distribution (Cohen 1979).
 */
export function slowdown(cores: number, used: number): number {
  return used >= cores ? Number.POSITIVE_INFINITY : 1 + erlangC(cores, used) / (cores - used);
}

export interface Waiting {
  /** Share of the servers' time that is used; from 1 on the queue grows without end. */
  readonly utilisation: number;
  /** Share of the messages that wait at all. */
  readonly delayed: number;
  /** Seconds, of all messages. */
  readonly mean: number;
  /** Of all messages. */
  readonly variance: number;
  /** The wait in seconds that this share of the messages, 0 to 1, stays below. */
  quantile(share: number): number;
}

/** The probability that an arrival finds all servers busy (`servers` whole); `offered` is rate × service time in Erlang, below it. */
export function erlangC(servers: number, offered: number): number {
  let blocked = 1;
  for (let count = 1; count <= servers; count++) blocked = (offered * blocked) / (count + offered * blocked);
  return blocked / (1 - (offered / servers) * (1 - blocked));
}

export function waiting({ rate, service, variability, servers }: Queue): Waiting {
  const offered = rate * service;
  const utilisation = offered / servers;
  if (utilisation >= 1) {
    const endless = Number.POSITIVE_INFINITY;
    return { utilisation, delayed: 1, mean: endless, variance: endless, quantile: () => endless };
  }
  const delayed = erlangC(servers, offered);
  const meanOfDelayed = (((1 + variability) / 2) * service) / (servers * (1 - utilisation));
  const mean = delayed * meanOfDelayed;
  return {
    utilisation,
    delayed,
    mean,
    variance: 2 * delayed * meanOfDelayed ** 2 - mean ** 2,
    quantile: (share) => (1 - share >= delayed ? 0 : meanOfDelayed * Math.log(delayed / (1 - share))),
  };
}

/** Standard normal quantiles of the shares that are printed. */
export const normalQuantiles = { p50: 0, p90: 1.281_552, p99: 2.326_348 } as const;

/**
 * The quantile of a gamma distribution with this mean and variance, by Wilson and Hilferty (1931); `z` is the normal quantile of the
 * same share. A sum of waits and service times is taken for gamma distributed: it has its first two moments and no negative values.
 */
export function gammaQuantile(mean: number, variance: number, z: number): number {
  if (variance === 0 || !Number.isFinite(mean)) return mean;
  const shape = mean ** 2 / variance;
  return mean * Math.max(0, 1 - 1 / (9 * shape) + z / (3 * Math.sqrt(shape))) ** 3;
}
