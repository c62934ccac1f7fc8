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
}, async () => {
  const reaches = async (service: Service, host: string, port: number): Promise<boolean> => {
    // Names of another network are asked for in vain, and so long that an orderly exit waits for it.
    const program = `setTimeout(() => process.kill(process.pid, 'SIGKILL'), 2000);
      require('net').connect(${port}, '${host}').on('connect', () => process.exit(0)).on('error', () => process.exit(1))`;
    try {
      await run(['docker', 'exec', stack.containers(service)[0] ?? '', 'node', '-e', program], {});
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
  const flows = await Promise.all([
    reaches('egress', sink, 2500),
    reaches('crypto-worker', 'redis', 6379),
    reaches('crypto-worker', sink, 2500),
    reaches('key-service', sink, 2500),
    reaches('key-service', 'redis', 6379),
  ]);
  assert.deepEqual(flows, [true, true, false, false, false]);
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
  const examine = async (role: (typeof processes)[number]): Promise<void> => {
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
  };
  await Promise.all(processes.map(examine));
});

test('scaled to 4 workers, with containers killed while mail flows, nothing is lost', { skip }, async (context) => {
  await stack.walk.section('More workers, or fewer');
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

test('doctor, from where the ingress stands, finds nothing wrong', { skip }, async () => {
  const said = await stack.walk.section('Mail');
  assert.match(said, /^ok +redis +redis:6379 keeps what it acknowledges$/m);
  assert.match(said, /^ok +egress\.routes\[0\]\.nextHop +sink:2500 answers and offers STARTTLS$/m);
  assert.match(said, /^ok +ingress\.inbound\.listen .* answers and offers STARTTLS$/m);
  assert.doesNotMatch(said, /^failed/m);
});

test('a changed setting comes in by a rolling restart while mail flows, and nothing is lost', {
  skip,
}, async (context) => {
  const isRolled = stack.walk.section('A new version, or a changed setting').then(() => true);
  const sent: Parcel[] = [];
  const counts = { acknowledged: 0, refused: 0, unanswered: 0 };
  do {
    const parcels = post.parcels(12);
    sent.push(...parcels);
    const { acknowledged, refused, unanswered } = await sendParcels(parcels, { sessions: 3, withinMs: 60_000 });
    counts.acknowledged += acknowledged;
    counts.refused += refused;
    counts.unanswered += unanswered;
  } while (!(await Promise.race([isRolled, sleep(1_000, false)])));
  const duplicates = await judge(sent, 120_000);
  context.diagnostic(JSON.stringify({ ...counts, duplicates }));
});

test('a backup passes its drill, a key is replaced, credentials are looked after', { skip }, async () => {
  assert.match(
    await stack.walk.section('Back up, and rehearse the restore'),
    /"broken":0,.*"canary":true.*"passed":true/,
  );
  await stack.walk.section('New keys');
  assert.match(JSON.stringify(await stack.cli('keys', 'list')), /alice[^"]*\/signing\/2"/);
});

test('SIGTERM reaches each process, which drains and ends with 0 within its grace period', { skip }, async () => {
  const ids = processes.flatMap((service) => stack.containers(service));
  const started = performance.now();
  await stack.walk.type('docker-compose stop');
  const took = performance.now() - started;
  for (const id of ids) assert.equal(docker('inspect', '-f', '{{.State.ExitCode}}', id), '0', id);
  assert.ok(took < 45_000, `${took} ms`);
});

test('the key store is lost: backup and custodians bring it back, and mail to alice opens', { skip }, async () => {
  const { walk } = stack;
  await walk.section('The end');
  await walk.type('. ./.env && docker volume rm ${COMPOSE_PROJECT_NAME}_keys ${COMPOSE_PROJECT_NAME}_audit');
  for (const command of walk.commands('Start, and open', 'docker-compose run -d')) await walk.type(command);
  await walk.section('After the loss of the key store');
  const parcels = post.parcels(4);
  await sendParcels(parcels, { sessions: 1, withinMs: 60_000 });
  await judge(parcels, 60_000);
});
