// PromQL that several panels share.

/** A second, of a counter; 0 where nothing was counted yet. */
export function total(counter: string): string {
  return `sum(rate(${counter}[$__rate_interval])) or vector(0)`;
}

/** A second, by labels. */
export function by(labels: string, counter: string): string {
  return `sum by (${labels}) (rate(${counter}[$__rate_interval]))`;
}

/** A quantile of a histogram, by labels where they are given. */
export function quantile(share: number, histogram: string, labels = '', matchers = ''): string {
  const kept = labels === '' ? 'le' : `le, ${labels}`;
  return `histogram_quantile(${share}, sum by (${kept}) (rate(${histogram}_bucket${matchers}[$__rate_interval])))`;
}

/** A reading that every process of several shows alike. */
export function same(labels: string, gauge: string): string {
  return labels === '' ? `max(${gauge})` : `max by (${labels}) (${gauge})`;
}

const accepted = 'sum(rate(sealpost_messages_accepted_total[$__rate_interval]))';

/** Seconds of processor time for each accepted message. */
export function cpuPerMessage(role: string): string {
  return `sum(rate(sealpost_process_cpu_seconds_total{role="${role}"}[$__rate_interval])) / ${accepted}`;
}

/** What every ingress shows alike of Redis, for each accepted message. */
export function perMessage(counter: string): string {
  return `max(rate(${counter}[$__rate_interval])) / ${accepted}`;
}
