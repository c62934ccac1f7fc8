// Sealpost as `sealpost up` runs it, one crypto worker a processor core, as one side of a comparison.

import { availableParallelism } from 'node:os';
import { freePort } from '@sealpost/testkit';
import { startInstallation } from '../e2e/installation.ts';
import { cpuOf } from './cpu.ts';
import type { Side } from './load.ts';

export interface SealpostSide extends Side {
  /** PEM of the roots that the senders' certificates chain to. */
  readonly roots: string;
}

/** `partnerFile`: PEM certificate of the recipient; `env` goes to all its processes. */
export async function startSealpost(
  sender: string,
  partnerFile: string,
  env: Readonly<Record<string, string>>,
): Promise<SealpostSide> {
  const sinkPort = await freePort();
  const gateway = await startInstallation({ external: sinkPort, workers: availableParallelism(), env });
  await gateway.cli('identity', 'add', sender, '--algorithm', 'rsa-2048');
  await gateway.cli('import', '--cert', partnerFile);
  const { issuers } = (await gateway.cli('identity', 'show', sender)) as { issuers: string[][] };
  return {
    name: 'sealpost',
    port: gateway.ready.outbound.port,
    sinkPort,
    roots: issuers.flatMap((chain) => chain.slice(-1)).join(''),
    cpu: () => Object.fromEntries(Object.entries(gateway.ready.pids).map(([kind, pids]) => [kind, cpuOf(pids)])),
    async stop() {
      await gateway.stop();
    },
  };
}
