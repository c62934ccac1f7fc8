// Load by Postfix' own test programs, which cost next to nothing: smtp-source sends the same message over kept sessions, smtp-sink
// takes and counts what comes out.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type CpuTimes, cpuBetween } from './cpu.ts';

/** Slower than this many messages a second means that something is broken. */
const slowestPerSecond = 2;
const graceMs = 30_000;

/** A mail system that takes mail at one port and hands it on, protected, to another. */
export interface Side {
  readonly name: string;
  readonly port: number;
  readonly sinkPort: number;
  cpu(): CpuTimes;
  stop(): Promise<void>;
}

export interface Mail {
  readonly from: string;
  readonly to: string;
  /** With LF lines. */
  readonly file: string;
}

export interface Measured {
  readonly messages: number;
  readonly perSecond: number;
  /** Milliseconds of processor time for one message, all processes of the side together. */
  readonly cpuMsPerMessage: number;
  readonly cpuMsByProcess: CpuTimes;
}

/** From the first connection until the last of `messages` has come out. */
export async function measure(side: Side, mail: Mail, messages: number, sessions: number): Promise<Measured> {
  const sink = startSink(side.sinkPort, ['-c']);
  try {
    await sleep(200);
    const before = side.cpu();
    const start = performance.now();
    await source(side.port, mail, messages, sessions);
    const deadline = start + graceMs + (messages / slowestPerSecond) * 1000;
    while (sink.taken() < messages) {
      if (performance.now() > deadline) throw new Error(`${side.name}: ${sink.taken()} of ${messages} came out`);
      await sleep(5);
    }
    const seconds = (performance.now() - start) / 1000;
    const used = Object.entries(cpuBetween(before, side.cpu())).map(([name, ms]) => [name, ms / messages] as const);
    return {
      messages,
      perSecond: messages / seconds,
      cpuMsPerMessage: used.reduce((sum, [, ms]) => sum + ms, 0),
      cpuMsByProcess: Object.fromEntries(used.filter(([, ms]) => ms >= 0.005)),
    };
  } finally {
    // Replies to the last messages are on their way.
    await sleep(200);
    sink.end();
  }
}

/** Sends one message and returns what came out, with the lines that smtp-sink puts above it. */
export async function sample(side: Side, mail: Mail): Promise<Buffer> {
  const directory = mkdtempSync(join(tmpdir(), 'sealpost-sample-'));
  await promisify(execFile)('chown', ['nobody', directory]);
  const sink = startSink(side.sinkPort, ['-c', '-d', join(directory, 'mail.')]);
  try {
    await sleep(200);
    await source(side.port, mail, 1, 1);
    const deadline = performance.now() + graceMs;
    while (sink.taken() < 1) {
      if (performance.now() > deadline) throw new Error(`${side.name}: the sample did not come out`);
      await sleep(20);
    }
    await sleep(200);
    return Buffer.concat(readdirSync(directory).map((file) => readFileSync(join(directory, file))));
  } finally {
    sink.end();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function source(port: number, { from, to, file }: Mail, messages: number, sessions: number): Promise<void> {
  const flags = ['-d', '-s', String(sessions), '-m', String(messages), '-f', from, '-t', to, '-F', file];
  await promisify(execFile)('/usr/sbin/smtp-source', [...flags, `127.0.0.1:${port}`]);
}

function startSink(port: number, flags: readonly string[]) {
  const process: ChildProcess = spawn('/usr/sbin/smtp-sink', ['-u', 'nobody', ...flags, `127.0.0.1:${port}`, '1000'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let taken = 0;
  process.stdout?.on('data', (text: Buffer) => {
    taken = Number(/mesg=(\d+)\r[^=]*$/.exec(text.toString())?.[1] ?? taken);
  });
  return { taken: () => taken, end: () => void process.kill() };
}
