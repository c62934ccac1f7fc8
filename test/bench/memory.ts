// Peak memory of the engine with a message of 50 MB, above what the idle process has: made (signed and encrypted) and opened, each in a
// process of its own. The message itself counts: it comes into memory after the idle reading.
// Usage: npm run bench -- memory [--json] [--bytes N]

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { WORKER_NODE_FLAGS } from '../../apps/cli/src/up/node-flags.ts';

/** Of the message, above idle. */
const LIMIT = 2.5;
const CIPHERS = ['aes-256-cbc', 'aes-256-gcm', 'chacha20-poly1305'];

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, bytes: { type: 'string', default: '50000000' } },
});

interface Reading {
  readonly direction: 'make' | 'open';
  readonly cipher: string;
  readonly messageBytes: number;
  readonly idleBytes: number;
  readonly peakBytes: number;
  /** (peak − idle) / message. */
  readonly ratio: number;
}

const directory = mkdtempSync(join(tmpdir(), 'sealpost-memory-'));
const rows: Reading[] = [];
try {
  const line = `${'A'.repeat(76)}\r\n`;
  const head = 'From: alice@example.test\r\nTo: bob@example.test\r\nSubject: x\r\nMIME-Version: 1.0\r\n';
  const type = 'Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n';
  writeFileSync(join(directory, 'plain'), head + type + line.repeat(Math.floor(Number(values.bytes) / line.length)));
  for (const cipher of CIPHERS) for (const direction of ['make', 'open'] as const) rows.push(read(direction, cipher));
} finally {
  rmSync(directory, { recursive: true });
}
const ok = rows.every(({ ratio }) => ratio <= LIMIT);
if (values.json) process.stdout.write(`${JSON.stringify({ name: 'memory', ok, limit: LIMIT, rows })}\n`);
else {
  for (const { direction, cipher, messageBytes, idleBytes, peakBytes, ratio } of rows) {
    const [message, idle, peak] = [messageBytes, idleBytes, peakBytes].map((bytes) => (bytes / 1e6).toFixed(0));
    process.stdout.write(
      `${direction} ${cipher}: ${message} MB message, ${idle} MB idle, ${peak} MB peak, ${ratio.toFixed(2)}x\n`,
    );
  }
}
process.exitCode = ok ? 0 : 1;

function read(direction: Reading['direction'], cipher: string): Reading {
  const child = new URL('memory-one.ts', import.meta.url).pathname;
  const text = execFileSync(process.execPath, [...WORKER_NODE_FLAGS, child, direction, cipher, directory], {
    encoding: 'utf8',
  });
  const { messageBytes, idleBytes, peakBytes } = JSON.parse(text);
  const ratio = Math.round(((peakBytes - idleBytes) / messageBytes) * 1000) / 1000;
  return { direction, cipher, messageBytes, idleBytes, peakBytes, ratio };
}
