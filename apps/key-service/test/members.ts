// People at work on a running service: each with a connection of the own, a second factor set up, and codes that were not used yet.

import { type KeyAnswer, type KeyConnection, openKeyConnection, signApproval } from '@sealpost/service';
import { codeFor, type TestPerson } from './people.ts';
import type { RunningKeyService } from './running-key-service.ts';

export interface Member {
  readonly person: TestPerson;
  readonly call: KeyConnection['call'];
  /** Shows a code, which opens what changes something until the service forgets. */
  present(): Promise<void>;
  approve(request: KeyAnswer<'act-request'>): Promise<KeyAnswer<'act-approve'>>;
  close(): void;
}

/** Enrols a person. There are two codes left then: that of now and the next; the one before was spent on confirming. */
export async function memberOf(service: RunningKeyService, person: TestPerson): Promise<Member> {
  const connection = openKeyConnection(service.config.keyService, person);
  const { call } = connection;
  const { uri } = await call('people-enrol', {});
  let step = -1;
  const code = () => codeFor(uri, step++);
  await call('people-confirm', { code: code() });
  return {
    person,
    call,
    async present() {
      await call('people-present', { code: code() });
    },
    async approve({ id, canonical, hash }) {
      const signature = signApproval(canonical, person.privateKey);
      return await call('act-approve', { id, hash, signature, code: code() });
    },
    close: () => connection.close(),
  };
}
