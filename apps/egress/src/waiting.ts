// Who waits for another try, by route and by the recipients' domain, as far as this process tried them last: the queue itself holds no
// addresses. Bounded whatever mail comes: in memory by the recipients it remembers, in metrics by how many domains are asked for.

import type { DeliveryId } from '@sealpost/core';

/** Some 10 MB; a queue that is longer is shown in part. */
const mostRecipients = 50_000;
/** Another process may have taken the delivery when it was due; that one tells of it then. */
const graceMs = 120_000;
/** Stands for all domains that are not shown, and for what is no domain in its ASCII form. */
const otherDomains = 'other';
const domainForm = /^(?=.{1,253}$)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+$/;

export interface Waiter {
  readonly route: string;
  /** Lower case; whatever the client wrote. */
  readonly domain: string;
}

export interface Line {
  readonly name: string;
  readonly recipients: number;
  /** When the oldest of their mail was accepted. */
  readonly since: Date;
}

export interface Waiting {
  /** Who is left of a delivery after a try, and when the next one is due. Nobody left ends what was known of it. */
  note(id: DeliveryId, acceptedAt: Date, dueAt: Date, waiters: readonly Waiter[]): void;
  byRoute(now: Date): readonly Line[];
  /** The `most` domains whose mail waits longest, the oldest first; the rest together as `other`. */
  byDomain(now: Date, most: number): readonly Line[];
}

interface Entry {
  readonly since: Date;
  readonly until: number;
  readonly waiters: readonly Waiter[];
}

export function waiting(): Waiting {
  const entries = new Map<DeliveryId, Entry>();
  let remembered = 0;

  function forget(id: DeliveryId): void {
    remembered -= entries.get(id)?.waiters.length ?? 0;
    entries.delete(id);
  }

  function sweep(now: Date): void {
    for (const [id, { until }] of entries) if (until < now.getTime()) forget(id);
  }

  function lines(now: Date, nameOf: (waiter: Waiter) => string): Line[] {
    sweep(now);
    const found = new Map<string, { recipients: number; since: Date }>();
    for (const { since, waiters } of entries.values()) {
      for (const waiter of waiters) {
        const name = nameOf(waiter);
        const line = found.get(name);
        if (!line) found.set(name, { recipients: 1, since });
        else {
          line.recipients += 1;
          if (since < line.since) line.since = since;
        }
      }
    }
    return [...found].map(([name, line]) => ({ name, ...line }));
  }

  return {
    note(id, acceptedAt, dueAt, waiters) {
      forget(id);
      if (waiters.length === 0 || remembered + waiters.length > mostRecipients) return;
      remembered += waiters.length;
      entries.set(id, { since: acceptedAt, until: dueAt.getTime() + graceMs, waiters });
    },
    byRoute: (now) => lines(now, ({ route }) => route),
    byDomain(now, most) {
      const all = lines(now, ({ domain }) => (domainForm.test(domain) ? domain : otherDomains));
      // By age and then by name: a flood of new domains does not push out those that wait.
      const shown = all
        .filter(({ name }) => name !== otherDomains)
        .sort((a, b) => a.since.getTime() - b.since.getTime() || (a.name < b.name ? -1 : 1))
        .slice(0, most);
      const rest = all.filter((line) => !shown.includes(line));
      return rest.length === 0 ? shown : [...shown, together(rest)];
    },
  };
}

function together(lines: readonly Line[]): Line {
  return {
    name: otherDomains,
    recipients: lines.reduce((sum, { recipients }) => sum + recipients, 0),
    since: new Date(Math.min(...lines.map(({ since }) => since.getTime()))),
  };
}
