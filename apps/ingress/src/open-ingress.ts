// The two listeners of the ingress in front of what stands behind them. It holds no state of its own and no key that could read
// back what it queued.

import type { TenantId } from '@sealpost/core';
import {
  announcedBytes,
  type RunningService,
  readIdentity,
  type ServiceContext,
  spoolSessions,
} from '@sealpost/service';
import { acceptor, type Spool } from './accept.ts';
import { type Door, inboundDoor, outboundDoor } from './doors.ts';
import { byteBudget, clientLimits, idleMs, slowestBytesPerSecond, slowStartMs } from './limits.ts';
import { type Listener, openListener } from './listener.ts';
import { recipientTable } from './recipients.ts';
import type { Pace } from './session.ts';
import { sourceTable } from './sources.ts';

/** What stands behind the listeners. */
export interface Backing extends Pick<Spool, 'keys' | 'blobs' | 'publisher'> {
  isReady(): boolean;
  close(): Promise<void>;
}

export interface RunningIngress extends RunningService {
  readonly outbound: Listener;
  readonly inbound: Listener;
}

/** The listeners in front of a backing; `pace` is for tests, which have less time than mail. */
export async function openIngress(
  { config, log, clock, telemetry }: ServiceContext,
  backing: Backing,
  pace: Partial<Pace> = {},
): Promise<RunningIngress> {
  const { ingress, installation, tenants } = config;
  const { limits } = ingress;
  const budget = byteBudget(limits.bytesInFlight);
  const accept = acceptor({ ...backing, sessions: spoolSessions(), clock, log, telemetry });
  const tls = ingress.tls && readIdentity(ingress.tls);
  const maxBytes = announcedBytes(ingress);

  const open = (door: Door): Promise<Listener> => {
    const { listen, startTls, clients } = ingress[door.direction];
    return openListener(
      { listen, tls, maxSessions: limits.sessions, knockMs: limits.knockMs },
      {
        door,
        startTls,
        installation,
        maxBytes: maxBytes[door.direction],
        maxRecipients: limits.recipients,
        pace: { sessionMs: limits.sessionMinutes * 60_000, idleMs, slowStartMs, slowestBytesPerSecond, ...pace },
        clients: clientLimits(clients, clock),
        budget,
        accept,
        log,
        telemetry,
      },
    );
  };

  const outbound = await open(outboundDoor(sourceTable(ingress.outbound.sources, tenants)));
  const inbound = await open(inboundDoor(recipientTable(tenants, installation, clock)));
  telemetry.gauge('sealpost_ingress_bytes_in_flight', () => budget.used);
  telemetry.gauge('sealpost_ingress_sessions', () => [
    { value: outbound.sessions, labels: { direction: 'outbound' } },
    { value: inbound.sessions, labels: { direction: 'inbound' } },
  ]);
  let stopping = false;

  return {
    outbound,
    inbound,
    async isReady() {
      if (stopping || !backing.isReady()) return false;
      return hasKeys(
        backing,
        tenants.map(({ id }) => id),
      );
    },
    isLive: () => true,
    async stop(deadlineMs) {
      stopping = true;
      await Promise.all([outbound.stop(deadlineMs), inbound.stop(deadlineMs)]);
      await backing.close();
    },
  };
}

/** Asked at each readiness check: it fetches what is missing, and costs nothing once the key client has it. */
async function hasKeys({ keys }: Backing, tenants: readonly TenantId[]): Promise<boolean> {
  try {
    await Promise.all([keys.ticketSigner(), ...tenants.map((tenant) => keys.spoolPublicKey(tenant, 'crypto'))]);
    return true;
  } catch {
    return false;
  }
}
