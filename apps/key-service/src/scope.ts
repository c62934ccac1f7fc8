// Which tenants a caller may work for. Stages serve all of them, each message with a ticket that names one; a person may be confined to
// some, and then asks only for what `confinable` lists.

import { parseKeyId } from '@sealpost/core';
import { KeyFault, type TenantsConfig } from '@sealpost/service';
import { isPersonRole } from './authority/service-authority.ts';
import type { Caller } from './caller.ts';
import type { OpenStore } from './open-store.ts';
import { namedBy } from './operations/tickets.ts';

/** The tenants that a call may reach. Fault: `forbidden` for a request about another one. */
export async function reachOf(
  request: object,
  caller: Caller,
  { people }: OpenStore,
  tenants: TenantsConfig,
): Promise<TenantsConfig> {
  const own = isPersonRole(caller.role) ? (await people.known(caller))?.tenants : undefined;
  if (!own) return tenants;
  const named = tenantNamed(request);
  if (named !== undefined && !own.includes(named)) throw new KeyFault('forbidden');
  return tenants.filter(({ id }) => own.includes(id));
}

/** By the request's form: a tenant, a key of one, or a ticket of one. */
function tenantNamed(request: object): string | undefined {
  if ('tenant' in request && typeof request.tenant === 'string') return request.tenant;
  if ('keyId' in request && typeof request.keyId === 'string') return parseKeyId(request.keyId).tenant;
  if ('ticket' in request && request.ticket instanceof Buffer) return namedBy(request.ticket).tenant;
  return undefined;
}
