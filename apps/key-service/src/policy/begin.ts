// What `init` settles beside keys: the first policy, and that the store knows the operator whose credential it made. Later policies
// and people come by requests that others approve.

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SetupError } from '@sealpost/core';
import type { Installation } from '@sealpost/service';
import { parseCertificates } from '@sealpost/smime';
import { firstName } from '../credentials.ts';
import type { Keeper } from '../keeper.ts';
import type { AuditSubject } from '../operations/operation.ts';
import { firstPolicy } from './first-policy.ts';

/** Returns what a person should know. */
export async function beginPolicy(config: Installation, keeper: Keeper): Promise<string[]> {
  const store = keeper.store();
  const said: string[] = [];
  const record = (operation: string, subject: AuditSubject): Promise<void> =>
    keeper.journal().append({
      at: store.now(),
      kind: 'event',
      operation,
      request: randomUUID(),
      actor: { role: 'key-service', name: 'init' },
      result: 'ok',
      ...subject,
    });

  if (store.policies.isMissing()) {
    // A store of an earlier version has neither.
    if (store.people.list().length > 0)
      throw new SetupError('the store knows people and lost its policy: put a backup back');
    const { hash } = store.policies.replace(firstPolicy(store.development));
    await record('policy-first', { digest: hash });
    said.push(`first policy, SHA-256 ${hash}`);
  }
  const [certificate] = parseCertificates(readFileSync(join(config.keyService.credentials, 'operator.crt')));
  if (certificate && store.people.get(firstName)?.fingerprint !== certificate.fingerprint) {
    if (store.people.get(firstName)) store.people.renew(firstName, certificate);
    else store.people.add(firstName, 'operator', certificate, store.now());
    await record('person-add', { person: `operator/${firstName}`, certificate: certificate.fingerprint });
  }
  return said;
}
