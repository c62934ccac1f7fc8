// Where the blob stores cross: messages per second through `put` and `publish` with files and with Redis, by size of the sealed
// message, measured in turns in one run so that the ratio holds on a busy machine too.
// Usage: node test/bench/blobs.ts [--json] [--seconds N]      N for each store and size, 1.5 unless told

import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { type CryptoJob, newMessageId, tenantId } from '@sealpost/core';
import { connectRedis, cryptoStage, fileBlobs, redisBlobs, type SpoolBlobs } from '@sealpost/queue';
import { startRedis, temporaryDirectory } from '@sealpost/testkit';

const sizes = [4, 16, 32, 64, 128, 256, 512, 1024].map((kib) => kib * 1024);
/** Messages at a time, as many SMTP sessions give. */
const concurrency = 32;
/** Short turns, so that noise of the machine meets both stores. */
const turns = 3;

interface Row {
  readonly bytes: number;
  readonly filePerSecond: number;
  readonly redisPerSecond: number;
  /** Above 1 the file store is faster. */
  readonly fileToRedis: number;
}

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, seconds: { type: 'string', default: '1.5' } },
});

await using directory = await temporaryDirectory();
await using server = await startRedis();
const link = await connectRedis({ host: server.host, port: server.port, acceptRisks: [] }, { event() {} });
const publisher = cryptoStage(link).publisher();
const file = await fileBlobs(directory.path);
const inRedis = redisBlobs(link);

const rows: Row[] = [];
for (const bytes of sizes) rows.push(await compare(bytes, (Number(values.seconds) * 1_000) / turns));
await link.close();

if (values.json) process.stdout.write(`${JSON.stringify({ name: 'blobs', concurrency, rows })}\n`);
else {
  process.stdout.write('  KiB   file msg/s   redis msg/s   file/redis\n');
  for (const row of rows) {
    const cells = [row.bytes / 1024, row.filePerSecond, row.redisPerSecond].map(Math.round);
    const [kib, perFile, perRedis] = cells.map(String);
    const columns = [
      kib?.padStart(5),
      perFile?.padStart(12),
      perRedis?.padStart(13),
      row.fileToRedis.toFixed(2).padStart(12),
    ];
    process.stdout.write(`${columns.join(' ')}\n`);
  }
}

async function compare(bytes: number, turnMs: number): Promise<Row> {
  const body = randomBytes(bytes);
  const rates = { file: 0, redis: 0 };
  // The first round of each warms it up.
  await rate(file, body, 200);
  await rate(inRedis, body, 200);
  for (let turn = 0; turn < turns; turn += 1) {
    rates.file += (await rate(file, body, turnMs)) / turns;
    rates.redis += (await rate(inRedis, body, turnMs)) / turns;
  }
  return {
    bytes,
    filePerSecond: rates.file,
    redisPerSecond: rates.redis,
    fileToRedis: rates.file / rates.redis,
  };
}

/** Messages per second, each a durable blob and then a durable job; what was stored is removed afterwards. */
async function rate(blobs: SpoolBlobs, body: Buffer, forMs: number): Promise<number> {
  const stored: string[] = [];
  const start = performance.now();
  const senders = Array.from({ length: concurrency }, async () => {
    while (performance.now() - start < forMs) {
      const job: CryptoJob = { v: 1, id: newMessageId(new Date()), tenant: tenantId('alpha'), ticket: 'x'.repeat(900) };
      await blobs.put(job.id, body);
      await publisher.publish([job]);
      stored.push(job.id);
    }
  });
  await Promise.all(senders);
  const perSecond = stored.length / ((performance.now() - start) / 1_000);
  for (const id of stored) await blobs.remove(id);
  await link.client.flushall();
  return perSecond;
}
