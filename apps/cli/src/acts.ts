// What takes others' approval, as commands ask for it: the request is made, and where the policy asks for nobody's approval it is
// executed in the same breath.

import type { KeyAdmin, KeyAnswer, KeyRequestInput } from '@sealpost/service';
import { printFacts, printJson } from './output.ts';

type Asked = KeyRequestInput<'act-request'>;

interface ActDone {
  /** The request as it stands; others may have to approve it first. */
  readonly request: KeyAnswer<'act-request'>;
  /** What the act answered, where it was executed. */
  readonly result?: KeyAnswer<'act-execute'>['result'];
}

/** Requests an act and executes it where nobody else is asked. Bytes in `params` are base64. */
export async function requestAct(admin: KeyAdmin, asked: Asked): Promise<ActDone> {
  const request = await admin.call('act-request', asked);
  if (request.needed > 0) return { request };
  const { result } = await admin.call('act-execute', { id: request.id });
  return { request, result };
}

/** Shows a request that waits, or hands the result to `show`. */
export function showAct({ request, result }: ActDone, json: boolean, show: (result: unknown) => void): void {
  if (json) {
    printJson(result === undefined ? { request: publicPart(request) } : { result });
    return;
  }
  if (result !== undefined) {
    show(result);
    return;
  }
  printFacts(factsOf(request));
  process.stdout.write(
    `\nOthers approve it with\n  sealpost approvals approve ${request.id}\nand then you execute it with\n  sealpost approvals execute ${request.id}\n`,
  );
}

export function factsOf(request: KeyAnswer<'act-approve'>): Record<string, string | undefined> {
  const { id, act, summary, reason, requester, expiresAt, hash, state, needed, by, approvals, refusedBy, outcome } =
    request;
  return {
    request: id,
    act,
    'would be done': summary,
    reason,
    'requested by': nameOf(requester),
    'expires at': expiresAt.toISOString(),
    'SHA-256': hash,
    state,
    approvals: `${approvals.length} of ${needed}${needed > 0 ? ` by ${by.join(' or ')}` : ''}`,
    'approved by': approvals.length > 0 ? approvals.map(nameOf).join(', ') : undefined,
    'refused by': refusedBy && nameOf(refusedBy),
    outcome,
  };
}

function nameOf({ role, name }: { readonly role: string; readonly name: string }): string {
  return `${role}/${name}`;
}

function publicPart({ canonical: _, ...request }: KeyAnswer<'act-request'>): KeyAnswer<'act-approve'> {
  return request;
}
