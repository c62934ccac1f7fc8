// A worker process for tests: `node worker-process.ts PORT MODE`. It writes a JSON line for each thing that happens.
// `hang` never ends a job, `die` ends the process at the first job, `block` blocks the event loop for 2.5 s and then asks whether
// it still holds the job. With REAL as the third argument the stage keeps its real times.

import { setTimeout as sleep } from 'node:timers/promises';
import type { CryptoJob } from '@sealpost/core';
import { connectRedis, cryptoStage } from '../src/index.ts';
import { recorder } from './fixtures.ts';
import { consumeOptions } from './stage.contract.ts';

const [port, mode, times] = process.argv.slice(2);
const say = (line: Record<string, unknown>): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

const link = await connectRedis({ host: '127.0.0.1', port: Number(port), acceptRisks: [] }, recorder());
const { timing, ...options } = consumeOptions<CryptoJob>();
cryptoStage(link).consume(
  async ({ id }, claim) => {
    say({ started: id, diedBefore: claim.diedBefore });
    if (mode === 'die') process.kill(process.pid, 'SIGKILL');
    if (mode === 'hang') await sleep(3_600_000);
    // What a synchronous parse of a monstrous message would do.
    if (mode === 'block') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_500);
    say({ held: await claim.isHeld() });
    return { kind: 'done' };
  },
  times === 'REAL' || !timing ? options : { ...options, timing },
);
say({ ready: true });
