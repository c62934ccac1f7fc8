// The end of the process (SIGTERM): not ready, new clients hear 421, a message whose final dot has come is answered, one before
// it is let go, and all within the deadline.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { idIn, mail, memoryQueue, startGateway } from './gateway.ts';

const transaction = { from: 'alice@alpha.test', to: ['bob@beta.test'], message: mail() };

test('what had its final dot is answered, what had not is aborted, newcomers hear 421', async () => {
  const queue = memoryQueue();
  const { promise: go, resolve: release } = Promise.withResolvers<void>();
  const { promise: reached, resolve: arrived } = Promise.withResolvers<void>();
  const gateway = await startGateway({
    backing: {
      ...queue,
      publisher: {
        ...queue.publisher,
        async publish(jobs) {
          arrived();
          await go;
          await queue.publisher.publish(jobs);
        },
      },
    },
  });
  const [answered, receiving, idle] = [await gateway.outbound(), await gateway.outbound(), await gateway.inbound()];
  for (const client of [answered, receiving, idle]) await client.greet();
  await receiving.command('MAIL FROM:<a@alpha.test>');
  await receiving.command('RCPT TO:<b@beta.test>');
  await receiving.command('DATA');
  await receiving.write(mail());
  const sent = answered.send(transaction);
  await reached;

  const stopped = gateway.ingress.stop(8_000);
  assert.equal(await gateway.ingress.isReady(), false);
  assert.match((await idle.reply()).text, /^421 4\.3\.2 The gateway is being restarted/);
  assert.match((await receiving.reply()).text, /^421 4\.3\.2 /);
  const newcomer = await gateway.outbound();
  assert.match((await newcomer.reply()).text, /^421 4\.3\.2 /);
  release();
  const { message } = await sent;
  assert.equal(queue.jobs[0]?.id, idIn(message));
  assert.match((await answered.reply()).text, /^421 4\.3\.2 /);
  await stopped;
  assert.equal(queue.jobs.length, 1);
  await assert.rejects(gateway.outbound(), { code: 'ECONNREFUSED' });
});

test('clients that do not go away and a queue that does not answer cannot hold up the end', async () => {
  const queue = memoryQueue();
  const gateway = await startGateway({
    backing: { ...queue, publisher: { ...queue.publisher, publish: () => new Promise(() => undefined) } },
  });
  const hanging = await gateway.outbound();
  await hanging.greet();
  void hanging.send(transaction).catch(() => undefined);
  const stubborn = await gateway.inbound();
  await stubborn.greet();
  await sleep(50);
  const started = performance.now();
  await gateway.ingress.stop(1_000);
  assert.ok(performance.now() - started < 1_200);
  await Promise.all([hanging.closed, stubborn.closed]);
});
