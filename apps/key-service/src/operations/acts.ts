// Dual control. A request is approved by others than its requester, each with a signature over the canonical request and a code of
// the second factor, and is then executed by its requester. Who may approve, and how many must, is asked of the policy each time.

import { isApproval, type KeyAnswer, KeyFault, type PersonRole } from '@sealpost/service';
import type { Act } from '../acts/act.ts';
import { actOf } from '../acts/index.ts';
import { type ActRequest, canonicalOf, isExpired, type Signatory } from '../acts/requests.ts';
import { isPersonRole } from '../authority/service-authority.ts';
import type { Caller } from '../caller.ts';
import type { OpenStore } from '../open-store.ts';
import type { Person } from '../people/register.ts';
import type { AuditSubject, Call, Operation } from './operation.ts';
import { knownPerson } from './staff.ts';

type Shown = KeyAnswer<'act-approve'>;

export const actRequest: Operation<'act-request'> = {
  subject: ({ act }) => ({ act }),
  async run({ act: name, params: given, reason }, call) {
    const { store, caller, now, note } = call;
    const requester = await knownPerson(caller, store);
    const act = existing(name);
    assertMayRequest(act, caller, store);
    const params = parsed(act, given);
    note((await act.subject?.(params, store)) ?? {});
    await act.check?.(params, call);
    const { role, name: who, fingerprint: certificate } = requester;
    const request = await store.requests.add(
      { act: name, params: given, summary: act.describe(params), reason, requester: { role, name: who, certificate } },
      now,
    );
    note(recordOf(request));
    return withText(request, call);
  },
};

export const actList: Operation<'act-list'> = {
  run: async (_, call) => ({ requests: (await call.store.requests.list()).map((request) => shown(request, call)) }),
};

export const actShow: Operation<'act-show'> = {
  run: async ({ id }, call) => withText(await call.store.requests.get(id), call),
};

export const actApprove: Operation<'act-approve'> = {
  subject: ({ id }, store) => wholeRecordOf(id, store),
  async run({ id, hash, signature, code }, call) {
    const { store, caller, now } = call;
    const person = await knownPerson(caller, store);
    const request = await store.requests.get(id);
    assertOpen(request, now);
    if (request.asked.requester.name === person.name) throw new KeyFault('approval-own');
    if (!isApprover(person.role, request, store)) throw new KeyFault('approval-role');
    const { canonical, hash: own } = canonicalOf(request);
    if (hash !== own || !isApproval(canonical, signature, person.certificate.publicKey))
      throw new KeyFault('approval-invalid');
    if (hasApproved(request, person)) throw new KeyFault('approved-already');
    // Last, so that a code is not spent on what would be refused anyway.
    await store.factors.spend(person.name, code, now);
    const approval = { ...signatoryOf(person), at: now.toISOString(), signature: signature.toString('base64') };
    const approved = await store.requests.change(id, now, async (pending) => {
      if (hasApproved(pending, person)) throw new KeyFault('approved-already');
      return { approvals: [...pending.approvals, approval] };
    });
    return shown(approved, call);
  },
};

export const actRefuse: Operation<'act-refuse'> = {
  subject: async ({ id }, store) => recordOf(await store.requests.get(id)),
  async run({ id }, call) {
    const { store, caller, now } = call;
    const person = await knownPerson(caller, store);
    const request = await store.requests.get(id);
    const isOwn = request.asked.requester.name === person.name;
    if (!isOwn && !isApprover(person.role, request, store)) throw new KeyFault('approval-role');
    const refusedBy = signatoryOf(person);
    return shown(await store.requests.change(id, now, async () => ({ state: 'refused', refusedBy })), call);
  },
};

export const actExecute: Operation<'act-execute'> = {
  subject: ({ id }, store) => wholeRecordOf(id, store),
  async run({ id }, call) {
    const { store, caller, now } = call;
    const person = await knownPerson(caller, store);
    const request = await store.requests.get(id);
    if (request.asked.requester.name !== person.name) throw new KeyFault('forbidden');
    const name = request.asked.act;
    const act = existing(name);
    assertMayRequest(act, caller, store);
    const params = parsed(act, request.asked.params);
    assertOpen(request, now);
    await store.requests.change(id, now, async (pending) => {
      // Again: what could be done when it was requested may be impossible now.
      await act.check?.(params, call);
      if ((await approvedBy(pending, store)).length < store.policy().approvals(name).needed) {
        throw new KeyFault('approvals-missing');
      }
      return { state: 'executed' };
    });
    let outcome = 'failed';
    try {
      const result = await act.run(params, call);
      outcome = 'ok';
      return { id, act: name, result };
    } finally {
      await store.requests.settle(id, outcome);
    }
  },
};

function assertOpen(request: ActRequest, now: Date): void {
  if (request.state !== 'pending' || isExpired(request, now)) throw new KeyFault('request-over');
}

/** Approvals that count now: signed by people whom the store still knows, with the role that the policy names now. */
async function approvedBy(request: ActRequest, store: OpenStore): Promise<readonly Signatory[]> {
  const { canonical } = canonicalOf(request);
  const counting: Signatory[] = [];
  for (const approval of request.approvals) {
    const { role, name, certificate, signature } = approval;
    const person = await store.people.known({ role, name, fingerprint: certificate });
    if (!person || !isApprover(role, request, store)) continue;
    if (isApproval(canonical, Buffer.from(signature, 'base64'), person.certificate.publicKey)) counting.push(approval);
  }
  return counting;
}

/** By name: one person counts once, whatever certificate or role was shown. */
function hasApproved({ approvals }: ActRequest, { name }: Person): boolean {
  return approvals.some((each) => each.name === name);
}

function isApprover(role: PersonRole, { asked }: ActRequest, { policy: policyNow }: OpenStore): boolean {
  return policyNow()
    .approvals(asked.act)
    .by.some((each) => each === role);
}

/** Fault: `forbidden`. */
function assertMayRequest(
  { requestedBy, duty }: Act<unknown>,
  { role }: Caller,
  { policy: policyNow }: OpenStore,
): void {
  const policy = policyNow();
  const isRequester = policy.rolesOf(role).some((each) => isPersonRole(each) && requestedBy.includes(each));
  if (!isRequester || (duty !== undefined && !policy.mayDo(duty, role))) throw new KeyFault('forbidden');
}

function existing(name: string): Act<unknown> {
  const act = actOf(name);
  if (!act) throw new KeyFault('not-found');
  return act;
}

function parsed(act: Act<unknown>, given: unknown): unknown {
  const { success, data } = act.form.safeParse(given);
  if (!success) throw new KeyFault('request-malformed');
  return data;
}

function signatoryOf({ role, name, fingerprint }: Person): Signatory {
  return { role, name, certificate: fingerprint };
}

function recordOf(request: ActRequest): AuditSubject {
  const { act, id, requester } = request.asked;
  return { act, approval: id, digest: canonicalOf(request).hash, person: `${requester.role}/${requester.name}` };
}

/** With what the act itself touches. */
async function wholeRecordOf(id: string, store: OpenStore): Promise<AuditSubject> {
  const request = await store.requests.get(id);
  const act = existing(request.asked.act);
  return { ...recordOf(request), ...(await act.subject?.(parsed(act, request.asked.params), store)) };
}

function withText(request: ActRequest, call: Call): KeyAnswer<'act-show'> {
  return { ...shown(request, call), canonical: canonicalOf(request).canonical };
}

function shown(request: ActRequest, { store, now }: Call): Shown {
  const { asked, state, approvals, refusedBy, outcome } = request;
  const { needed, by } = store.policy().approvals(asked.act);
  return {
    id: asked.id,
    act: asked.act,
    summary: asked.summary,
    reason: asked.reason,
    requester: { role: asked.requester.role, name: asked.requester.name },
    requestedAt: new Date(asked.requestedAt),
    expiresAt: new Date(asked.expiresAt),
    hash: canonicalOf(request).hash,
    state: state === 'pending' && isExpired(request, now) ? 'expired' : state,
    needed,
    by: [...by],
    approvals: approvals.map(({ role, name, at }) => ({ role, name, at: new Date(at) })),
    ...(refusedBy ? { refusedBy: { role: refusedBy.role, name: refusedBy.name } } : {}),
    ...(outcome === undefined ? {} : { outcome }),
  };
}
