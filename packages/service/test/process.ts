// A small service as a real process, for the tests of boot and drain. MODE says how it misbehaves.

import { runService } from '../src/index.ts';

await runService('egress', async ({ log, telemetry }) => {
  const mode = process.env.MODE ?? '';
  if (mode === 'start-fails') throw new Error('secret words about alice@alpha.test');
  if (mode === 'start-hangs') await new Promise(() => setInterval(() => undefined, 1_000));
  if (mode === 'throws') setTimeout(() => assertNever('alice@alpha.test'), 50);
  if (mode === 'rejects') setTimeout(() => void Promise.reject(new Error('alice@alpha.test')), 50);
  const work = setInterval(() => undefined, 1_000);
  return {
    isReady: () => true,
    isLive: () => mode !== 'dead',
    async stop(deadlineMs) {
      log.event('job.later', { durationMs: deadlineMs });
      if (mode === 'stop-fails') throw new Error('secret words about alice@alpha.test');
      if (mode === 'stop-hangs') await new Promise(() => undefined);
      if (mode === 'stop-slow') await new Promise((resolve) => setTimeout(resolve, 600));
      log.event('delivery.delivered');
      if (mode === 'traced') await telemetry.span('egress.deliver', {}, async () => undefined);
      clearInterval(work);
    },
  };
});

function assertNever(address: string): never {
  throw new Error(`secret words about ${address}`);
}
