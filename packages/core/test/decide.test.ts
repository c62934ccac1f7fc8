// decide(facts): every recipient lands in exactly one group for every combination of facts, and the rules that must never bend hold.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decide, decodePlan, encodePlan, type GroupAction, type OutboundFacts } from '../src/index.ts';

const policy = { sign: 'if-possible', withoutCertificate: 'plain', exempt: ['calendar', 'report'] } as const;
const base: OutboundFacts = {
  direction: 'outbound',
  policy,
  nullSender: false,
  malformed: false,
  signer: 'alice',
  recipients: [],
};

const actionsOf = (facts: Parameters<typeof decide>[0]): [readonly number[], GroupAction][] =>
  decide(facts).groups.map(({ recipients, action }) => [recipients, action]);

test('visible recipients share a ciphertext, each Bcc has its own, the rest is signed only', () => {
  assert.deepEqual(
    actionsOf({
      ...base,
      recipients: [
        { at: 0, visible: true, certificate: 'bob' },
        { at: 1, visible: false, certificate: 'eve' },
        { at: 2, visible: true },
        { at: 3, visible: true, certificate: 'carol' },
        { at: 4, visible: false, certificate: 'mallory' },
        { at: 5, visible: false },
      ],
    }),
    [
      [[0, 3], { do: 'protect', signWith: 'alice', encryptTo: ['bob', 'carol'] }],
      [[1], { do: 'protect', signWith: 'alice', encryptTo: ['eve'] }],
      [[4], { do: 'protect', signWith: 'alice', encryptTo: ['mallory'] }],
      [[2, 5], { do: 'protect', signWith: 'alice', encryptTo: [] }],
    ],
  );
});

test('a recipient without certificate bounces by policy, and waits for a person when there is no sender', () => {
  const facts: OutboundFacts = {
    ...base,
    policy: { ...policy, withoutCertificate: 'bounce' },
    recipients: [
      { at: 0, visible: true, certificate: 'bob' },
      { at: 1, visible: true },
    ],
  };
  assert.deepEqual(actionsOf(facts)[1], [[1], { do: 'bounce', code: 'recipient-without-certificate' }]);
  assert.deepEqual(actionsOf({ ...facts, nullSender: true })[1], [
    [1],
    { do: 'quarantine', code: 'unprotected-null-sender' },
  ]);
});

test('a colleague whose key we hold gets mail that can be read: signed only, never bounced', () => {
  const facts: OutboundFacts = {
    ...base,
    policy: { ...policy, withoutCertificate: 'bounce' },
    recipients: [
      { at: 0, visible: true, certificate: 'bob' },
      { at: 1, visible: true, certificate: 'carol', keyIsOurs: true },
    ],
  };
  assert.deepEqual(actionsOf(facts), [
    [[0], { do: 'protect', signWith: 'alice', encryptTo: ['bob'] }],
    [[1], { do: 'protect', signWith: 'alice', encryptTo: [] }],
  ]);
});

test('no mail leaves unsigned when the policy says always', () => {
  const { signer, ...unsigned } = base;
  assert.equal(signer, 'alice');
  const facts: OutboundFacts = {
    ...unsigned,
    policy: { ...policy, sign: 'always' },
    recipients: [{ at: 0, visible: true, certificate: 'bob' }],
  };
  assert.deepEqual(actionsOf(facts), [[[0], { do: 'bounce', code: 'sender-without-key' }]]);
});

test('only exemptions that the policy lists pass', () => {
  const recipients = [{ at: 0, visible: true, certificate: 'bob' }];
  assert.deepEqual(actionsOf({ ...base, exemption: 'calendar', recipients }), [[[0], { do: 'pass' }]]);
  assert.equal(actionsOf({ ...base, exemption: 'pgp', recipients })[0]?.[1].do, 'protect');
});

test('a malformed message waits for a person, exempt or not', () => {
  const recipients = [{ at: 0, visible: true }];
  const held = [[[0], { do: 'quarantine', code: 'message-malformed' }]];
  assert.deepEqual(actionsOf({ ...base, malformed: true, recipients }), held);
  assert.deepEqual(actionsOf({ ...base, malformed: true, exemption: 'calendar', recipients }), held);
});

test("inbound: a recipient's keys serve that recipient alone", () => {
  const inbound = {
    direction: 'inbound',
    policy: {
      clearSigned: 'keep',
      footer: { verified: '', unverified: '', unsigned: '' },
      subjectTag: { verified: '', decrypted: '' },
    },
    recipients: [
      { at: 0, keys: ['bob-2', 'bob-1'] },
      { at: 1, keys: [] },
      { at: 2, keys: ['carol-1'] },
      { at: 3, keys: [] },
    ],
  } as const;
  assert.deepEqual(actionsOf({ ...inbound, protection: 'encrypted' }), [
    [[0], { do: 'open', openWith: ['bob-2', 'bob-1'] }],
    [[2], { do: 'open', openWith: ['carol-1'] }],
    [[1, 3], { do: 'open', openWith: [] }],
  ]);
  assert.deepEqual(actionsOf({ ...inbound, protection: 'none' }), [[[0, 1, 2, 3], { do: 'pass' }]]);
  assert.deepEqual(actionsOf({ ...inbound, protection: 'signed' }), [[[0, 1, 2, 3], { do: 'open', openWith: [] }]]);
});

const outboundFacts: fc.Arbitrary<OutboundFacts> = fc.record(
  {
    direction: fc.constant('outbound' as const),
    policy: fc.record({
      sign: fc.constantFrom('always' as const, 'if-possible' as const, 'never' as const),
      withoutCertificate: fc.constantFrom('plain' as const, 'bounce' as const),
      exempt: fc.subarray([
        'calendar' as const,
        'report' as const,
        'auto-reply' as const,
        'pgp' as const,
        'protected' as const,
      ]),
    }),
    nullSender: fc.boolean(),
    malformed: fc.boolean(),
    exemption: fc.constantFrom('calendar' as const, 'pgp' as const),
    signer: fc.constant('alice'),
    recipients: fc
      .array(
        fc.record(
          { visible: fc.boolean(), certificate: fc.constantFrom('a', 'b', 'c') },
          { requiredKeys: ['visible'], noNullPrototype: true },
        ),
        { minLength: 1, maxLength: 12 },
      )
      .map((list) => list.map((each, at) => ({ at, ...each }))),
  },
  { requiredKeys: ['direction', 'policy', 'nullSender', 'malformed', 'recipients'], noNullPrototype: true },
);

test('whatever the facts: one group each, no Bcc in company of an encrypted group, no plain mail where the policy bounces', () => {
  fc.assert(
    fc.property(outboundFacts, (facts) => {
      const plan = decide(facts);
      assert.deepEqual(decodePlan(encodePlan(plan), facts.recipients.length), plan);
      for (const { recipients, action } of plan.groups) {
        const members = facts.recipients.filter(({ at }) => recipients.includes(at));
        if (action.do !== 'protect') continue;
        if (action.encryptTo.length > 0 && members.some(({ visible }) => !visible)) assert.equal(members.length, 1);
        if (facts.policy.withoutCertificate === 'bounce')
          assert.ok(members.every(({ certificate, keyIsOurs }) => certificate || keyIsOurs));
        if (facts.policy.sign === 'always') assert.ok(action.signWith);
        assert.ok(
          members.every(
            ({ certificate, keyIsOurs }) =>
              !certificate || action.encryptTo.includes(certificate) === !keyIsOurs || members.length > 1,
          ),
        );
      }
    }),
  );
});
