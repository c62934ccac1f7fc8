// People at work on a running production service: each with a connection of the own, a second factor set up, and codes that were not
// used yet.

import assert from 'node:assert/strict';
import { type KeyAnswer, type KeyConnection, openKeyConnection, signApproval } from '@sealpost/service';
import { firstPolicy } from '../src/policy/first-policy.ts';
import { addPerson, codeFor, type TestPerson, withStore } from './people.ts';
import { passphrase, type RunningKeyService, runKeyService } from './running-key-service.ts';

export interface Member {
  readonly person: TestPerson;
  readonly call: KeyConnection['call'];
  /** Gives `use` a code that was not used yet. There are two: that of now and the next; the one before was spent on confirming. */
  withCode<T>(use: (code: string) => Promise<T>): Promise<T>;
  /** Shows a code, which opens what changes something until the service forgets. */
  present(): Promise<void>;
  approve(request: Pick<KeyAnswer<'act-request'>, 'id' | 'canonical' | 'hash'>): Promise<KeyAnswer<'act-approve'>>;
  close(): void;
}

export interface StaffedKeyService extends AsyncDisposable {
  readonly service: RunningKeyService;
  /** The member of that name. */
  as(name: string): Member;
}

type PersonRole = Parameters<typeof addPerson>[2];

/** A service that a passphrase opened, with the first policy of a production store and these people, enrolled. */
export async function staffedKeyService(
  staff: readonly (readonly [role: PersonRole, name: string])[],
): Promise<StaffedKeyService> {
  const people: TestPerson[] = [];
  const service = await runKeyService({
    slot: 'passphrase',
    prepare: (directory, config) =>
      withStore(config, Buffer.from(passphrase), async (store) => {
        for (const [role, name] of staff) people.push(await addPerson(store, directory, role, name));
        await store.policies.replace(firstPolicy(false));
      }),
  });
  await service.call('operator').call('unseal', { passphrase });
  const members = new Map<string, Member>();
  for (const person of people) members.set(person.name, await memberOf(service, person));
  return {
    service,
    as(name) {
      const member = members.get(name);
      assert.ok(member);
      return member;
    },
    async [Symbol.asyncDispose]() {
      for (const member of members.values()) member.close();
      await service[Symbol.asyncDispose]();
    },
  };
}

async function memberOf(service: RunningKeyService, person: TestPerson): Promise<Member> {
  const connection = openKeyConnection(service.config.keyService, person);
  const { call } = connection;
  const { uri } = await call('people-enrol', {});
  let step = -1;
  const withCode: Member['withCode'] = (use) => use(codeFor(uri, step++));
  await withCode((code) => call('people-confirm', { code }));
  return {
    person,
    call,
    withCode,
    async present() {
      await withCode((code) => call('people-present', { code }));
    },
    async approve({ id, canonical, hash }) {
      const signature = signApproval(canonical, person.privateKey);
      return await withCode((code) => call('act-approve', { id, hash, signature, code }));
    },
    close: () => connection.close(),
  };
}
