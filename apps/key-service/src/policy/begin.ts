// What `init` settles beside keys: the first policy, the operator whose credential it made, and the first people of a store for
// production. All later policies and people come by requests that others approve; `init` is no way around them.

import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SetupError } from '@sealpost/core';
import { type Installation, KeyFault, type PersonRole, personName, personRoles } from '@sealpost/service';
import { type Certificate, parseCertificates } from '@sealpost/smime';
import { issueClientCertificate } from '../authority/service-authority.ts';
import { firstName } from '../credentials.ts';
import type { Keeper } from '../keeper.ts';
import type { AuditSubject } from '../operations/operation.ts';
import { isSameKey, personKeyFromPem } from '../people/public-key.ts';
import { firstPolicy } from './first-policy.ts';
import { isInReach } from './reach.ts';

interface FirstPerson {
  readonly role: PersonRole;
  readonly name: string;
  /** PEM of the public key; the certificate is put beside it. */
  readonly file: string;
}

/** From `ROLE/NAME=FILE`. Throws SetupError. */
export function firstPerson(text: string): FirstPerson {
  const [, given, name = '', file] = /^([a-z-]+)\/([^=/]+)=(.+)$/.exec(text) ?? [];
  const role = personRoles.find((each) => each === given);
  if (!role || !file || name === firstName || !personName.safeParse(name).success) {
    throw new SetupError(`--person takes ROLE/NAME=FILE, such as key-admin/alice=alice.pub, not ${text}`);
  }
  return { role, name, file };
}

/** Returns what somebody should know. Throws SetupError. */
export async function beginPolicy(
  config: Installation,
  keeper: Keeper,
  persons: readonly FirstPerson[],
): Promise<string[]> {
  const store = keeper.store();
  const { people, policies } = store;
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
  const letIn = async (role: PersonRole, name: string, certificate: Certificate): Promise<void> => {
    await record('person-add', { person: `${role}/${name}`, certificate: certificate.fingerprint });
    if (await people.get(name)) await people.renew(name, certificate);
    else await people.add(name, role, certificate, store.now());
  };

  if (policies.isMissing()) {
    // A store of an earlier version has neither.
    if ((await people.list()).length > 0)
      throw new SetupError('the store knows people and lost its policy: restore a backup');
    const { hash } = await policies.replace(firstPolicy(store.development));
    await record('policy-first', { digest: hash });
    said.push(`first policy, SHA-256 ${hash}`);
  }
  const [operator] = parseCertificates(readFileSync(join(config.keyService.credentials, 'operator.crt')));
  // Whom others agreed to shut out does not come back by running `init` again.
  const isOut = await people.wasRemoved(firstName);
  if (operator && !isOut && (await people.get(firstName))?.fingerprint !== operator.fingerprint) {
    await letIn('operator', firstName, operator);
  }

  const known = (await people.list()).filter(({ name }) => name !== firstName);
  const { form } = store.policy();
  if (persons.length === 0) {
    if (!isInReach(form, known)) said.push('nobody can approve anything yet: name the first people with --person');
    return said;
  }
  if (isInReach(form, known)) throw new SetupError('the first people are there; others come by `sealpost people add`');
  if (!isInReach(form, [...known, ...persons])) {
    throw new SetupError('the policy asks for a key-admin and for others who approve: name them all at once');
  }
  const newcomers = persons.map((person) => ({ ...person, key: personKeyFromPem(readFileSync(person.file, 'utf8')) }));
  // All before any: half of them could approve nothing.
  for (const { name, key } of newcomers) {
    const isTwice = newcomers.some((other) => other.name !== name && isSameKey(other.key, key));
    if (isTwice || newcomers.filter((other) => other.name === name).length > 1) throw new KeyFault('person-exists');
    await people.assertFree(name, key);
  }
  for (const { role, name, key, file } of newcomers) {
    const certificate = await issueClientCertificate(store.serviceAuthority, role, name, key);
    await letIn(role, name, certificate);
    const target = `${file.replace(/\.pub$/, '')}.crt`;
    writeFileSync(target, certificate.pem, { mode: 0o644 });
    said.push(`let in ${role}/${name}: ${target}`);
  }
  return said;
}
