// Runs every process of an installation whose configuration an administrator wrote, on this machine. It makes no store, no key and no
// Redis; a key store that nothing opens by itself stays sealed, and the stages wait until somebody opens it.

import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Installation, loadConfig } from '@sealpost/service';
import { withKeyAdmin } from '../key-admin.ts';
import { type Child, startChild } from './child.ts';
import { projectRoot } from './layout.ts';

/** A cold start of a process on a busy machine stays below this. */
const readyMs = 30_000;
/** Stages drain within 8 s by themselves. */
const stageStopMs = 7_500;
const keyServiceStopMs = 1_000;
const askEveryMs = 500;

export interface InstalledGateway {
  stop(): Promise<void>;
}

/** Resolves when all are ready, or `stopped` did; `progress` hears what a person should read. */
export async function startInstalled(
  file: string,
  workers: number,
  progress: (line: string) => void,
  stopped: Promise<void>,
): Promise<InstalledGateway> {
  const config = loadConfig(file);
  const { http } = config;
  const stages: Child[] = [];
  const start = (app: string, at: Address, more: readonly string[] = []) =>
    startChild(
      {
        name: app,
        command: process.execPath,
        args: [join(projectRoot, `apps/${app}/src/main.ts`), '--config', file, ...more],
        isReady: () => answers(at, '/ready'),
      },
      () => undefined,
    );
  const keyService = start('key-service', http.keyService);
  const stop = async (): Promise<void> => {
    await Promise.all(stages.map((child) => child.stop(stageStopMs)));
    await keyService.stop(keyServiceStopMs);
  };
  let isStopping = false;
  void stopped.then(() => {
    isStopping = true;
  });

  try {
    for (let isTold = false; !(await answers(http.keyService, '/ready')) && !isStopping; await sleep(askEveryMs)) {
      if (isTold || !(await answers(http.keyService, '/live'))) continue;
      const words = await howToOpen(config, file);
      isTold = words.length > 0;
      for (const line of words) progress(line);
    }
    if (isStopping) return { stop };
    progress('the key store is open; starting ingress, crypto workers and egress');
    stages.push(start('ingress', http.ingress), start('egress', http.egress));
    for (let worker = 0; worker < workers; worker++) {
      const port = http.worker.port + worker;
      stages.push(start('crypto-worker', { ...http.worker, port }, ['--http-port', String(port)]));
    }
    await Promise.race([Promise.all(stages.map((child) => child.untilReady(readyMs))), stopped]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { stop };
}

/** Why it is sealed, where somebody can open it. */
const openable: Readonly<Record<string, string>> = {
  waiting: 'the key store is sealed, as it should be after a start; mail waits until somebody opens it',
  'awaits-token': 'the key store is sealed: the token that opens it does not answer, and is tried again',
  'slot-unreadable': 'the key store is sealed: what should open it by itself did not; its log tells why',
};

/** What somebody does next, a line each; nothing while the service does not answer yet. */
async function howToOpen(config: Installation, file: string): Promise<string[]> {
  const unseal = `npx sealpost key-service unseal --config ${file}`;
  const unknown = ['the key store is sealed; open it with', `  ${unseal} --passphrase-file -`];
  const status = await withKeyAdmin({ config: file }, (admin) => admin.call('status', {})).catch(() => undefined);
  // Without an operator's credential on this machine.
  if (!status) return (await answers(config.http.keyService, '/live')) ? unknown : [];
  if (!status.sealed) return [];
  const reason = status.reason ?? 'waiting';
  const words = openable[reason];
  if (words === undefined) return [`the key store stays sealed (${reason}); see docs/key-management.md`];
  const ways = status.slots.flatMap(({ kind, label }) => {
    const shares = status.shares.find(({ slot }) => slot === label);
    if (kind === 'passphrase') return [`  ${unseal} --passphrase-file -`];
    return shares ? [`  ${unseal} --share-file FILE    (${shares.need} of ${shares.of} custodians of ${label})`] : [];
  });
  return [
    words,
    ...(ways.length > 0 ? ['open it with one of', ...ways] : []),
    ...(status.risk ? ['WARNING: it has one slot only; losing its secret loses every key'] : []),
  ];
}

interface Address {
  readonly host: string;
  readonly port: number;
}

async function answers({ host, port }: Address, path: '/live' | '/ready'): Promise<boolean> {
  // What listens on all addresses is asked on this machine's own.
  const name = ['0.0.0.0', '::'].includes(host) ? '127.0.0.1' : isIPv6(host) ? `[${host}]` : host;
  try {
    const answer = await fetch(`http://${name}:${port}${path}`, { signal: AbortSignal.timeout(2_000) });
    await answer.body?.cancel();
    return answer.ok;
  } catch {
    return false;
  }
}
