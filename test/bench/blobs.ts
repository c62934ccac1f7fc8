// Where the blob stores cross: messages per second through `put` and `publish` with files and with Redis, by size of the sealed
// message, measured in turns in one run so that the ratio holds on a busy machine too.
// Usage: node test/bench/blobs.ts [--json] [--seconds N]      N for each store and size, 3 unless told

import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { type CryptoJob, newMessageId, tenantId } from '@sealpost/core';
import { connectRedis, cryptoStage, fileBlobs, redisBlobs, type SpoolBlobs } from '@sealpost/queue';
import { startRedis, temporaryDirectory } from '@sealpost/testkit';

const sizes = [4, 16, 32, 64, 128, 256, 512, 1024].map((kib) => kib * 1024);
/** Messages at a time, as many SMTP sessions give. */
const concurrency = 32;
/** Short turns by turns, so that the machine's noise meets both stores; medians, so that one bad turn does not count. */
const turns = 7;

interface Row {
  readonly bytes: number;
  readonly filePerSecond: number;
  readonly redisPerSecond: number;
  /** Above 1 the file store is faster. */
  readonly fileToRedis: number;
  /** CPU time of the Redis process for one message: what all processes of an installation share. */
  readonly redisCpuMsWithFile: number;
  readonly redisCpuMsWithRedis: number;
}

interface Turn {
  readonly perSecond: number;
  readonly redisCpuMs: number;
}

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, seconds: { type: 'string', default: '3' } },
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
  process.stdout.write('  KiB  file msg/s  redis msg/s  file/redis  Redis CPU ms: file  redis\n');
  for (const row of rows) {
    const cells: readonly [number, number, number][] = [
      [row.bytes / 1024, 5, 0],
      [row.filePerSecond, 12, 0],
      [row.redisPerSecond, 13, 0],
      [row.fileToRedis, 12, 2],
      [row.redisCpuMsWithFile, 20, 2],
      [row.redisCpuMsWithRedis, 7, 2],
    ];
    process.stdout.write(`${cells.map(([value, width, digits]) => value.toFixed(digits).padStart(width)).join('')}\n`);
  }
}

async function compare(bytes: number, turnMs: number): Promise<Row> {
  const body = randomBytes(bytes);
  // The first round of each warms it up.
  await measure(file, body, 200);
  await measure(inRedis, body, 200);
  const [withFile, withRedis]: [Turn[], Turn[]] = [[], []];
  for (let turn = 0; turn < turns; turn += 1) {
    withFile.push(await measure(file, body, turnMs));
    withRedis.push(await measure(inRedis, body, turnMs));
  }
  return {
    bytes,
    filePerSecond: median(withFile.map(({ perSecond }) => perSecond)),
    redisPerSecond: median(withRedis.map(({ perSecond }) => perSecond)),
    fileToRedis: median(withFile.map(({ perSecond }, turn) => perSecond / (withRedis[turn]?.perSecond ?? 1))),
    redisCpuMsWithFile: median(withFile.map(({ redisCpuMs }) => redisCpuMs)),
    redisCpuMsWithRedis: median(withRedis.map(({ redisCpuMs }) => redisCpuMs)),
  };
}

/** Sends messages for a time, each a durable blob and then a durable job; what was stored is removed afterwards. */
async function measure(blobs: SpoolBlobs, body: Buffer, forMs: number): Promise<Turn> {
  const stored: string[] = [];
  const cpuBefore = await redisCpuMs();
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
  const cpu = (await redisCpuMs()) - cpuBefore;
  for (const id of stored) await blobs.remove(id);
  await link.client.flushall();
  return { perSecond, redisCpuMs: cpu / stored.length };
}

async function redisCpuMs(): Promise<number> {
  const info = await link.client.info('cpu');
  return (
    1_000 * [...info.matchAll(/^used_cpu_(?:sys|user):([0-9.]+)/gm)].reduce((sum, [, text]) => sum + Number(text), 0)
  );
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}
