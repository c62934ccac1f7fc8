// Which recipients the inbound listener takes: those of a tenant's domains, checked against a list, by asking the next hop, or by
// their domain only. Accepting unknown ones would make the gateway send reports to forged senders (backscatter).

import { domainToASCII } from 'node:url';
import { type Clock, domainOf, fail, normalAddress, type TenantId } from '@sealpost/core';
import type { TenantsConfig } from '@sealpost/service';
import { type ProbeTarget, probe, type Verdict } from './probe.ts';

export interface Recipients {
  /** The tenant whose domain it is. */
  tenantOf(address: string): TenantId | undefined;
  /** Errors: `relay-denied`, `domain-unknown`, `recipient-unknown`, `recipient-unverified`. */
  check(address: string): Promise<TenantId>;
  /** Where mail for the bare `postmaster` goes (RFC 5321 §4.5.1). */
  readonly postmasterDomain: string;
}

/** How long the next hop's word counts, in milliseconds; mailboxes come and go slowly, new ones should work soon. */
const knownMs = 60 * 60_000;
const unknownMs = 5 * 60_000;
/** A next hop that gives no clear answer is left alone for a moment. */
const unclearMs = 5_000;
/** Remembered verdicts of each kind: a flood of made-up addresses must not push out the real ones. */
const maxVerdicts = 20_000;
/** Probes under way at once. */
const maxProbes = 20;
/** Forms that make a next hop relay by itself: `user%host@ours`, `host!user@ours` (RFC 5321 §3.6.1 wants them gone). */
const routed = /[%!]/;

export function recipientTable(tenants: TenantsConfig, helo: string, clock: Clock): Recipients {
  const tenantByDomain = new Map(
    tenants.flatMap((tenant) => tenant.domains.map((domain) => [domain, tenant] as const)),
  );
  const lists = new Map(tenants.map(({ id, recipients }) => [id, new Set(recipients.list)]));
  const ask = probeCache((target, address) => probe(target, address, helo), clock);
  const find = (address: string) => tenantByDomain.get(asciiDomain(domainOf(address)));

  return {
    postmasterDomain: tenants[0]?.domains[0] ?? helo,
    tenantOf: (address) => find(address)?.id,
    async check(address) {
      const tenant = find(address);
      if (!tenant) throw fail('domain-unknown');
      if (routed.test(address)) throw fail('relay-denied');
      const { check, probe: target } = tenant.recipients;
      if (check === 'list' && !lists.get(tenant.id)?.has(normalAddress(address))) throw fail('recipient-unknown');
      if (check === 'probe') {
        const verdict = target ? await ask(target, address) : 'unclear';
        if (verdict === 'unknown') throw fail('recipient-unknown');
        if (verdict === 'unclear') throw fail('recipient-unverified');
      }
      return tenant.id;
    },
  };
}

/** Domains are configured in their ASCII form (RFC 5890). */
function asciiDomain(domain: string): string {
  return /^[\x21-\x7e]*$/.test(domain) ? domain : domainToASCII(domain);
}

type Ask = (target: ProbeTarget, address: string) => Promise<Verdict>;

/** Remembers verdicts, asks once for the same address at the same time, and never keeps more than `maxProbes` questions open. */
export function probeCache(ask: Ask, clock: Clock): Ask {
  const lives: Record<Verdict, number> = { known: knownMs, unknown: unknownMs, unclear: unclearMs };
  const remembered: Record<Verdict, Map<string, number>> = { known: new Map(), unknown: new Map(), unclear: new Map() };
  const open = new Map<string, Promise<Verdict>>();

  function recall(key: string): Verdict | undefined {
    const now = clock.now().getTime();
    return (['known', 'unknown', 'unclear'] as const).find((verdict) => (remembered[verdict].get(key) ?? 0) > now);
  }

  function remember(key: string, verdict: Verdict): void {
    const map = remembered[verdict];
    map.delete(key);
    const [oldest] = map.keys();
    if (map.size >= maxVerdicts && oldest !== undefined) map.delete(oldest);
    map.set(key, clock.now().getTime() + lives[verdict]);
  }

  return async (target, address) => {
    const key = `${target.host} ${target.port} ${normalAddress(address)}`;
    const recalled = recall(key);
    if (recalled) return recalled;
    const running = open.get(key);
    if (running) return running;
    if (open.size >= maxProbes) return 'unclear';
    const asking = ask(target, address).finally(() => open.delete(key));
    open.set(key, asking);
    const verdict = await asking;
    remember(key, verdict);
    return verdict;
  };
}
