// Whether a restore was approved: by people whom the backup's own register knows, in roles and numbers that its policy names, over this
// backup, this head of the log and this loss. Whoever asked does not count, and a file that does not count refuses the whole.

import { SetupError } from '@sealpost/core';
import { isApproval, type RestoreApproval, type RestoreRequest, type RestoreSignatory } from '@sealpost/service';
import { restoreAct } from '../acts/names.ts';
import type { OpenStore } from '../open-store.ts';
import { sha256Of } from './backup-file.ts';

/** Those who bring shares, and those who answer for keys. */
const mayRequest: readonly string[] = ['key-admin', 'custodian'];

/** What is about to be restored. */
export interface RestoreFacts {
  /** The file. */
  readonly sealed: Buffer;
  readonly checkpoint: { readonly head: string; readonly key: string };
  readonly acceptLoss: number | 'all';
}

export interface RestoreOrder {
  readonly request: RestoreRequest;
  readonly approvals: readonly RestoreApproval[];
}

export type Register = Pick<OpenStore, 'people' | 'policy'>;

/** Throws SetupError that says what is missing or wrong. */
export async function assertApproved(
  order: RestoreOrder | undefined,
  facts: RestoreFacts,
  register: Register,
  now: Date,
): Promise<void> {
  const { needed, by } = register.policy().approvals(restoreAct);
  if (needed === 0 && !order) return;
  if (!order)
    throw new SetupError(
      `the policy in the backup asks for ${needed} approvals by ${by.join(' or ')}: \`sealpost backup request\`, \`backup approve\``,
    );
  const { request, approvals } = order;
  const { asked, canonical, hash, signature } = request;
  assertSame(request, facts, now);
  if (!mayRequest.includes(asked.requester.role)) throw new SetupError('a key-admin or a custodian requests a restore');
  await assertSigned(asked.requester, signature, canonical, register);

  const names = new Set<string>();
  for (const { hash: approved, signatory, signature: given } of approvals) {
    const who = `${signatory.role}/${signatory.name}`;
    if (approved !== hash) throw new SetupError(`${who} approved another request`);
    if (signatory.name === asked.requester.name) throw new SetupError(`${who} requested it: nobody approves alone`);
    if (!by.some((role) => role === signatory.role)) throw new SetupError(`the policy does not let ${who} approve it`);
    await assertSigned(signatory, Buffer.from(given, 'base64'), canonical, register);
    names.add(signatory.name);
  }
  if (names.size < needed)
    throw new SetupError(`the policy in the backup asks for ${needed} approvals; there are ${names.size}`);
}

function assertSame({ asked }: RestoreRequest, { sealed, checkpoint, acceptLoss }: RestoreFacts, now: Date): void {
  if (asked.backup !== sha256Of(sealed)) throw new SetupError('the request is for another backup');
  if (asked.checkpoint.head !== checkpoint.head || asked.checkpoint.key !== checkpoint.key)
    throw new SetupError('the request names another head of the audit log');
  if (asked.acceptLoss !== acceptLoss) throw new SetupError('the request accepts another loss');
  if (now >= new Date(asked.expiresAt)) throw new SetupError('the request has expired; make another');
}

async function assertSigned(
  { role, name, certificate }: RestoreSignatory,
  signature: Buffer,
  canonical: string,
  { people }: Register,
): Promise<void> {
  const person = await people.known({ role, name, fingerprint: certificate });
  if (!person) throw new SetupError(`the register in the backup does not know ${role}/${name} by this certificate`);
  if (!isApproval(canonical, signature, person.certificate.publicKey, 'restore'))
    throw new SetupError(`the signature of ${role}/${name} is not over this request`);
}
