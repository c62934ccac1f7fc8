// Sends the audit log to a SIEM behind the writer's back: a collector that is slow or away delays nothing and loses nothing, because
// the log itself is what is read. Where it stands is kept in a file beside the log. Syslog has no acknowledgement, so after a lost
// connection the last records are sent again; a record's number and hash tell doubles.

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import type { Log } from '@sealpost/core';
import { framed, type Installation, type KeyServerConfig } from '@sealpost/service';
import { followLog } from './log-follower.ts';

type Target = KeyServerConfig['audit']['export'][number];

/** How long records wait for company. */
const lookEveryMs = 500;
const batch = 256;
/** What a lost connection may have held in its buffers. */
const sentAgain = 256;
const connectMs = 10_000;
const [firstRetryMs, longestRetryMs] = [1_000, 60_000];

export interface LogExport {
  /** Records that were not sent yet. */
  behind(): number;
  stop(): Promise<void>;
}

export interface ExportOptions {
  readonly config: Installation;
  readonly target: Target;
  readonly log: Log;
  /** Number of the last record that is on disk. */
  durable(): number;
}

export function exportLog({ config, target, log, durable }: ExportOptions): LogExport {
  const { file } = config.keyServer.audit;
  const place = `${file}.export-${target.name}`;
  const stopped = new AbortController();
  let sent = readPlace(place);
  let isAway = false;
  let retryMs = firstRetryMs;
  const done = run();
  return {
    behind: () => Math.max(0, durable() - sent),
    async stop() {
      stopped.abort();
      await done;
    },
  };

  async function run(): Promise<void> {
    while (!stopped.signal.aborted) {
      try {
        await overOneConnection();
      } catch (error) {
        if (stopped.signal.aborted) return;
        if (!isAway) log.event('dependency.lost', { dependency: `siem ${target.name}`, error: error as Error });
        isAway = true;
        await pause(retryMs);
        retryMs = Math.min(2 * retryMs, longestRetryMs);
      }
    }
  }

  async function overOneConnection(): Promise<void> {
    const socket = await connected(target, stopped.signal);
    const follower = followLog(file, Math.max(0, sent - (isAway ? sentAgain : 0)));
    try {
      if (isAway) log.event('dependency.back', { dependency: `siem ${target.name}` });
      isAway = false;
      retryMs = firstRetryMs;
      while (!stopped.signal.aborted) {
        const lines = await follower.next(durable(), batch);
        if (socket.destroyed) throw new Error('the collector closed the connection');
        if (lines.length === 0) {
          await pause(lookEveryMs);
          continue;
        }
        await write(socket, lines.map((line) => framed(line, target.format, config.installation)).join(''));
        sent = Math.max(sent, Number(/"seq":(\d+)/.exec(lines.at(-1) ?? '')?.[1]));
        writePlace(place, sent);
      }
    } finally {
      socket.destroy();
      await follower.close();
    }
  }

  async function pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: stopped.signal, ref: false }).catch(() => undefined);
  }
}

function connected(target: Target, signal: AbortSignal): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const { host, port, tls, caFile } = target;
  const socket = tls
    ? connectTls({ host, port, minVersion: 'TLSv1.2', ...(caFile === undefined ? {} : { ca: readFileSync(caFile) }) })
    : connectTcp({ host, port });
  socket.setTimeout(connectMs, () => socket.destroy(new Error('the collector does not answer')));
  socket.once(tls ? 'secureConnect' : 'connect', () => {
    socket.setTimeout(0);
    socket.setKeepAlive(true, connectMs);
    resolve(socket);
  });
  socket.on('error', reject);
  // What a collector says is of no interest, but must be taken for its end to be seen.
  socket.resume();
  signal.addEventListener('abort', () => socket.destroy(), { once: true });
  socket.once('close', () => reject(new Error('the collector closed the connection')));
  return promise;
}

/** Resolves when the kernel has it. */
function write(socket: Socket, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('close', () => reject(new Error('the collector closed the connection')));
    socket.write(text, (error) => (error ? reject(error) : resolve()));
  });
}

function readPlace(place: string): number {
  try {
    const seq = Number(JSON.parse(readFileSync(place, 'utf8')).seq);
    return Number.isSafeInteger(seq) && seq > 0 ? seq : 0;
  } catch {
    return 0;
  }
}

function writePlace(place: string, seq: number): void {
  writeFileSync(`${place}.part`, `${JSON.stringify({ seq })}\n`, { mode: 0o600 });
  renameSync(`${place}.part`, place);
}
