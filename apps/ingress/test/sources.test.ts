// Sources: who a client is, which tenant a message is, whose domains it may carry.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { installation } from '@sealpost/service';
import { idIn, mail, memoryQueue, startGateway } from './gateway.ts';

const cloud = {
  name: 'cloud',
  networks: ['127.0.0.0/24', '2001:db8::/32'],
  tenantHeader: { name: 'X-Cloud-Tenant', tenants: { 'alpha-secret': 'alpha', 'beta-secret': 'beta' } },
  domains: ['alpha.test', 'beta.test'],
};
const office = { name: 'office', tenant: 'beta', networks: ['127.0.1.0/24'], domains: ['beta.test', 'alpha.test'] };

const queue = memoryQueue();
const gateway = await startGateway({ backing: queue, outbound: { sources: [cloud, office] } });
after(() => gateway[Symbol.asyncDispose]());

async function send(localAddress: string, from: string, header = ''): Promise<string> {
  await using client = await gateway.outbound(localAddress);
  await client.greet();
  const replies = await client.send({ from: '', to: ['x@elsewhere.test'], message: `${header}${mail(from)}` });
  return (replies.message ?? replies.mail).text;
}

async function queued(text: string) {
  const id = text.slice(-32);
  const job = queue.jobs.find((each) => each.id === id);
  assert.ok(job, text);
  return gateway.keys.open(job, queue.blobs);
}

test('in a shared cloud the header field names the tenant, and does not travel on', async () => {
  const { ticket, message, envelope } = await queued(
    await send('127.0.0.7', 'alice@alpha.test', 'x-cloud-tenant:\r\n alpha-secret\r\n'),
  );
  assert.deepEqual([ticket.tenant, ticket.source, envelope.headerFrom], ['alpha', 'cloud', 'alice@alpha.test']);
  assert.equal(message, mail('alice@alpha.test'));
  const body = mail('bob@beta.test', 'X-Cloud-Tenant: beta-secret\r\n');
  await using client = await gateway.outbound();
  await client.greet();
  const reply = (
    await client.send({ from: '', to: ['x@elsewhere.test'], message: `X-Cloud-Tenant: beta-secret\r\n${body}` })
  ).message;
  assert.equal((await queued(idIn(reply))).message, body);
});

test('without it, with an unknown or with two of them nothing is taken', async () => {
  for (const header of [
    '',
    'X-Cloud-Tenant: gamma-secret\r\n',
    'X-Cloud-Tenant: ALPHA-SECRET\r\n',
    'X-Cloud-Tenant:\r\n',
    'X-Cloud-Tenant: constructor\r\n',
    'X-Cloud-Tenant: beta-secret\r\nX-Cloud-Tenant: alpha-secret\r\n',
  ])
    assert.match(
      await send('127.0.0.7', 'alice@alpha.test', header),
      /^550 5\.7\.1 The message does not name a tenant/,
    );
});

test('a customer of the shared cloud cannot write in the name of another', async () => {
  const text = await send('127.0.0.7', 'alice@alpha.test', 'X-Cloud-Tenant: beta-secret\r\n');
  assert.match(text, /^550 5\.7\.1 The From domain/);
});

test('a source speaks for its tenant only, even where it lists more', async () => {
  assert.equal((await queued(await send('127.0.1.1', 'bob@beta.test'))).ticket.tenant, 'beta');
  assert.match(await send('127.0.1.1', 'alice@alpha.test'), /^550 5\.7\.1 The From domain/);
});

test('a neighbour of a network is not in it', async () => {
  assert.match(await send('127.0.2.1', 'alice@alpha.test'), /^550 5\.7\.1 This host/);
});

test('a configuration that would open a relay is refused', () => {
  const problems = (ingress: object) =>
    installation.shape.ingress.safeParse(ingress).error?.issues.map(({ path }) => path.join('.')) ?? [];
  const outbound = (source: object) => ({
    outbound: { startTls: 'off', sources: [{ name: 's', tenant: 'alpha', domains: ['alpha.test'], ...source }] },
    inbound: { startTls: 'off' },
  });
  assert.deepEqual(problems(outbound({ networks: ['192.0.2.0/24'] })), []);
  assert.deepEqual(problems(outbound({})), ['outbound.sources.0.networks']);
  for (const wide of ['0.0.0.0/0', '64.0.0.0/2', '::/0', '2000::/3'])
    assert.deepEqual(problems(outbound({ networks: [wide] })), ['outbound.sources.0.networks.0'], wide);
  assert.deepEqual(problems(outbound({ networks: ['::1/128'], name: 'world' })), ['outbound.sources.0.name']);
  assert.deepEqual(problems(outbound({ networks: ['::1/128'], tenant: undefined })), ['outbound.sources.0.tenant']);
  assert.deepEqual(problems(outbound({ networks: ['::1/128'], domains: [] })), ['outbound.sources.0.domains']);
  assert.deepEqual(problems({}), ['tls']);
  const certificate = outbound({ clientCertificates: ['ab'.repeat(32)] });
  assert.deepEqual(problems(certificate), ['outbound.startTls']);
});
