// Requests under dual control as the store keeps them: one sealed row each. A request is executed at most once: its state changes
// before the work begins, and a service that ends meanwhile leaves it executed without an outcome.

import { randomUUID } from 'node:crypto';
import { canonicalJson, KeyFault, type PersonRole, requestHash } from '@sealpost/service';
import type { z } from 'zod';
import { installationTenant } from '../authority/authority.ts';
import type { Records } from '../store/records.ts';

/** After a day people no longer know what they approve, and an approval must not wait for its hour. */
const requestLifeMs = 24 * 3_600_000;

export interface Signatory {
  readonly role: PersonRole;
  readonly name: string;
  /** SHA-256 of the certificate. */
  readonly certificate: string;
}

export type JsonValue = z.core.util.JSONType;

interface Approval extends Signatory {
  readonly at: string;
  /** Over the canonical request, base64. */
  readonly signature: string;
}

/** What approvers sign. */
interface Asked {
  readonly v: 1;
  readonly id: string;
  readonly act: string;
  readonly params: JsonValue;
  readonly summary: string;
  readonly reason: string;
  readonly requester: Signatory;
  readonly requestedAt: string;
  readonly expiresAt: string;
}

export interface ActRequest {
  readonly asked: Asked;
  readonly state: 'pending' | 'refused' | 'executed';
  readonly approvals: readonly Approval[];
  readonly refusedBy?: Signatory;
  readonly outcome?: string;
}

type NewRequest = Pick<Asked, 'act' | 'params' | 'summary' | 'reason' | 'requester'>;

export interface Requests {
  add(request: NewRequest, now: Date): Promise<ActRequest>;
  /** Fault: `not-found`. */
  get(id: string): Promise<ActRequest>;
  /** Newest first. */
  list(): Promise<ActRequest[]>;
  /** Changes a request that is pending and has not expired, in one transaction. Faults: `not-found`, `request-over`. */
  change(
    id: string,
    now: Date,
    to: (request: ActRequest) => Promise<Partial<Omit<ActRequest, 'asked'>>>,
  ): Promise<ActRequest>;
  /** How the execution ended. */
  settle(id: string, outcome: string): Promise<void>;
}

export function openRequests(records: Records): Requests {
  const placeOf = (id: string) => ({ kind: 'act', tenant: installationTenant, owner: '', id }) as const;
  const write = async (request: ActRequest): Promise<ActRequest> => {
    await records.replace(placeOf(request.asked.id), Buffer.from(JSON.stringify(request)));
    return request;
  };
  const get = async (id: string): Promise<ActRequest> => {
    const row = await records.get(placeOf(id));
    if (!row) throw new KeyFault('not-found');
    return parse(row);
  };
  return {
    get,
    add(request, now) {
      const asked: Asked = {
        v: 1,
        id: randomUUID(),
        ...request,
        requestedAt: now.toISOString(),
        expiresAt: new Date(now.getTime() + requestLifeMs).toISOString(),
      };
      return write({ asked, state: 'pending', approvals: [] });
    },
    list: async () =>
      (await records.ofTenant('act', installationTenant))
        .map(parse)
        .sort((a, b) => (a.asked.requestedAt > b.asked.requestedAt ? -1 : 1)),
    change: (id, now, to) =>
      records.transaction(async () => {
        const request = await get(id);
        if (request.state !== 'pending' || isExpired(request, now)) throw new KeyFault('request-over');
        return await write({ ...request, ...(await to(request)) });
      }),
    settle: (id, outcome) =>
      records.transaction(async () => {
        await write({ ...(await get(id)), outcome });
      }),
  };
}

export function isExpired({ asked }: ActRequest, now: Date): boolean {
  return now >= new Date(asked.expiresAt);
}

/** The text that approvers sign, and its SHA-256. */
export function canonicalOf({ asked }: ActRequest): { readonly canonical: string; readonly hash: string } {
  const canonical = canonicalJson(asked);
  return { canonical, hash: requestHash(canonical) };
}

function parse(row: Buffer): ActRequest {
  return JSON.parse(row.toString('utf8')) as ActRequest;
}
