// The images and infra/compose.yaml, really built and run: mail goes around signed and encrypted, the stack is scaled, containers die
// while mail flows, and everything ends in order.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { judgeMessage, openPost, type Post, secret } from '../fault/post.ts';
import { arrivedParcels, type Parcel, sendParcels, untilArrived } from '../fault/traffic.ts';
import { docker, run, whyNoEngine } from './engine.ts';
import { type Service, type Stack, startStack, version } from './stack.ts';

const skip = whyNoEngine() ?? false;
const stages = ['ingress', 'crypto-worker', 'egress'] as const;
const processes = [...stages, 'key-service'] as const;
let stack: Stack;
let post: Post;

before(async () => {
  if (skip !== false) return;
  const started = performance.now();
  const seconds = (): string => `${Math.round((performance.now() - started) / 1000)} s`;
  stack = await startStack((line) => process.stderr.write(`containers: ${line} (after ${seconds()})\n`));
  await stack.untilHealthy('key-service', 1);
  for (const stage of stages) await stack.untilHealthy(stage, stage === 'crypto-worker' ? 2 : 1);
  post = await openPost(stack.cli, { outbound: { ...stack.outbound, startTls: true }, inbound: stack.inbound });
  process.stderr.write(`containers: ready (after ${seconds()})\n`);
});
after(async () => {
  post?.close();
  await stack?.close();
});

/** Everything arrived as it has to look; the number of duplicates. */
async function judge(parcels: readonly Parcel[], withinMs: number): Promise<number> {
  const duplicates = await untilArrived(parcels, [stack.received], withinMs);
  const arrived = arrivedParcels(stack.received);
  for (const { name, message } of parcels) {
    for (const { transaction } of arrived.get(name) ?? []) {
      assert.ok(transaction.isSecure, name);
      judgeMessage(name, Buffer.from(message), transaction.message);
      if (name.startsWith('outbound')) assert.ok(post.read(transaction.message).includes(secret), name);
    }
  }
  assert.deepEqual(await stack.cli('queue', 'list'), [], 'nothing was set aside');
  return duplicates;
}

test('mail goes out signed and encrypted, and comes in decrypted and verified', { skip }, async () => {
  const parcels = post.parcels(12);
  await sendParcels(parcels, { sessions: 3, withinMs: 60_000 });
  assert.equal(await judge(parcels, 60_000), 0);
});

test('every process runs as user 1000, without capabilities, on a read-only root', { skip }, () => {
  for (const service of [...processes, 'redis'] as const) {
    for (const id of stack.containers(service)) {
      const [{ Config, HostConfig }] = JSON.parse(docker('inspect', id));
      assert.equal(Config.User, service === 'redis' ? 'redis' : '1000:1000');
      assert.equal(HostConfig.ReadonlyRootfs, true);
      assert.deepEqual(HostConfig.CapDrop, ['ALL']);
      assert.ok(HostConfig.SecurityOpt.includes('no-new-privileges:true'));
      assert.equal(HostConfig.Privileged, false);
    }
  }
});

test('who need not talk cannot: workers, key service and Redis have no way to the world or each other', {
  skip,
}, () => {
  const reaches = (service: Service, host: string, port: number): boolean => {
    // Names of another network are asked for in vain, and slowly.
    const program = `setTimeout(() => process.exit(1), 2000);
      require('net').connect(${port}, '${host}').on('connect', () => process.exit(0)).on('error', () => process.exit(1))`;
    try {
      docker('exec', stack.containers(service)[0] ?? '', 'node', '-e', program);
      return true;
    } catch {
      return false;
    }
  };
  const sink = docker(
    'inspect',
    '-f',
    '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}',
    stack.containers('sink')[0] ?? '',
  );
  assert.ok(reaches('egress', sink, 2500), 'egress reaches next hops');
  assert.ok(reaches('crypto-worker', 'redis', 6379));
  assert.ok(!reaches('crypto-worker', sink, 2500));
  assert.ok(!reaches('key-service', sink, 2500));
  assert.ok(!reaches('key-service', 'redis', 6379));
});

test('a process holds its own credentials and nobody else’s', { skip }, () => {
  for (const role of processes) {
    const names = docker('exec', stack.containers(role)[0] ?? '', 'ls', '/run/secrets').split('\n');
    assert.deepEqual(
      names.filter((name) => /\.key$/.test(name) && name !== 'smtp.key'),
      [`${role}.key`],
    );
    assert.equal(names.includes('slot'), role === 'key-service');
    assert.equal(names.includes('redis-password'), role !== 'key-service');
  }
});

/** A program that prints each library that is there, as a package URL. */
const listInstalled = `
for (const file of require('fs').globSync('/app/node_modules/{*,@*/*}/package.json')) {
  const { name, version } = require(file);
  if (!name.startsWith('@sealpost/')) console.log('pkg:npm/' + name + '@' + version);
}`;

test('an image holds its own process, no tests, no npm, and says what it is made of', { skip }, async () => {
  for (const role of processes) {
    const inImage = (...words: readonly string[]): Promise<string> =>
      run(
        [
          'docker',
          'run',
          '--rm',
          '--network',
          'none',
          '--entrypoint',
          words[0] ?? '',
          `sealpost/${role}:${version}`,
          ...words.slice(1),
        ],
        {},
      );
    assert.equal((await inImage('ls', '/app/apps')).trim(), role);
    assert.equal((await inImage('find', '/app/apps', '/app/packages', '-name', 'test')).trim(), '');
    await assert.rejects(inImage('npm', '--version'));
    const bill = JSON.parse(await inImage('cat', '/app/sbom.cdx.json'));
    assert.equal(bill.bomFormat, 'CycloneDX');
    const listed = bill.components.map(({ purl }: { purl: string }) => decodeURIComponent(purl));
    const installed = (await inImage('node', '-e', listInstalled)).trim().split('\n');
    assert.ok(installed.length > 50);
    assert.deepEqual(
      installed.filter((purl) => !listed.includes(purl)),
      [],
    );
  }
});

test('scaled to 4 workers, with containers killed while mail flows, nothing is lost', { skip }, async (context) => {
  await stack.compose('up', '-d', '--no-recreate', '--scale', 'crypto-worker=4');
  await stack.untilHealthy('crypto-worker', 4);
  const victims: readonly Service[] = ['crypto-worker', 'redis', 'egress', 'ingress'];
  const perVictim = 24;
  const parcels = post.parcels(victims.length * perVictim);
  const deaths: Promise<void>[] = [];
  const counts = await sendParcels(parcels, {
    sessions: 6,
    withinMs: 150_000,
    onAcknowledged(count) {
      const victim = victims[Math.floor(count / perVictim)];
      if (victim && count % perVictim === perVictim / 2) deaths.push(kill(victim));
    },
  });
  await Promise.all(deaths);
  assert.equal(deaths.length, victims.length);
  const duplicates = await judge(parcels, 120_000);
  context.diagnostic(JSON.stringify({ ...counts, duplicates }));
});

/** SIGKILL. A killed worker stays away, the others have its mail; what there is one of is started again. */
async function kill(service: Service): Promise<void> {
  const [id = ''] = stack.containers(service);
  docker('kill', '--signal', 'KILL', id);
  if (service === 'crypto-worker') return;
  await sleep(500);
  docker('start', id);
}

test('SIGTERM reaches each process, which drains and ends with 0 within its grace period', { skip }, async () => {
  const ids = processes.flatMap((service) => stack.containers(service));
  const started = performance.now();
  await stack.compose('stop');
  const took = performance.now() - started;
  for (const id of ids) assert.equal(docker('inspect', '-f', '{{.State.ExitCode}}', id), '0', id);
  assert.ok(took < 45_000, `${took} ms`);
});
