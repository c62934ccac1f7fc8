// `--explain`: every fact and the decision, the same that the pipeline makes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryKeyService } from '@sealpost/testkit';
import { type Explanation, explain, explanationJson, explanationTable } from '../src/explain.ts';
import { alpha, usualPolicy } from './gateway.ts';

const clock = { now: () => new Date() };
const keys = memoryKeyService(clock);
const { signing, decryption } = keys.addIdentity(alpha, 'alice@alpha.test');
const bob = keys.addPartner(alpha, 'bob@partner.test');
keys.addPartner(alpha, 'old@partner.test', { notAfter: new Date(Date.now() - 1_000) });

function ask(direction: 'outbound' | 'inbound', message: string, to: readonly string[]): Promise<Explanation> {
  return explain({
    certificates: keys.as('crypto-worker'),
    tenant: alpha,
    policy: usualPolicy,
    direction,
    from: 'alice@alpha.test',
    to,
    message: Buffer.from(message),
    now: clock.now(),
  });
}

const mail = 'From: alice@alpha.test\r\nTo: bob@partner.test\r\n\r\nHello\r\n';

test('outbound: facts, certificates with the reason against each, and the groups', async () => {
  const found = await ask('outbound', mail, ['bob@partner.test', 'old@partner.test']);
  assert.deepEqual(found.plan.groups, [
    {
      id: 'g0',
      recipients: [0],
      action: { do: 'protect', signWith: signing.fingerprint, encryptTo: [bob.fingerprint] },
    },
    { id: 'g1', recipients: [1], action: { do: 'protect', signWith: signing.fingerprint, encryptTo: [] } },
  ]);
  const table = explanationTable(found);
  assert.match(table, new RegExp(`signs with +${signing.fingerprint}`));
  assert.match(table, /recipient bob@partner\.test +in To or Cc/);
  assert.match(table, /recipient old@partner\.test +hidden, no certificate/);
  assert.match(table, /certificate of old@partner\.test +[0-9a-f]{16}… expired/);
  assert.match(table, /decision g1 +old@partner\.test: \{"do":"protect"/);
  const json = JSON.parse(JSON.stringify(explanationJson(found)));
  assert.deepEqual(Object.keys(json), ['tenant', 'recipients', 'classification', 'facts', 'certificates', 'plan']);
  assert.equal(json.facts.signer, signing.fingerprint);
});

test('inbound: the keys that each recipient holds', async () => {
  const encrypted = mail.replace(
    '\r\n\r\n',
    '\r\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\r\n',
  );
  const found = await ask('inbound', encrypted, ['alice@alpha.test', 'x@alpha.test']);
  assert.deepEqual(
    found.plan.groups.map(({ action }) => action),
    [
      { do: 'open', openWith: [decryption.fingerprint] },
      { do: 'open', openWith: [] },
    ],
  );
  assert.match(explanationTable(found), /recipient alice@alpha\.test +1 decryption keys?/);
});
