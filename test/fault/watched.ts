// A running gateway that Prometheus watches by the rules of infra/prometheus, for tests that cause a fault and see its alert come and go.
// Only the waiting times of the rules are shortened.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectSmtp, hasPrometheus, type SinkOptions, startPrometheus, startSmtpSink } from '@sealpost/testkit';
import { parse } from 'yaml';
import { startInstallation, type TestInstallation } from '../e2e/installation.ts';
import { until } from '../e2e/operating.ts';
import { mail } from '../e2e/partner.ts';

const alice = 'alice@alpha.test';
/** The key service looks at its backups once a minute. */
const endsWithinMs = 90_000;

/** Of each of these tests. */
export const where = { skip: !hasPrometheus() && 'prometheus (Debian package prometheus) is not installed' };

export interface Watched extends AsyncDisposable {
  readonly gateway: TestInstallation;
  isFiring(alert: string): Promise<boolean>;
  fires(...alerts: readonly string[]): Promise<unknown>;
  ends(...alerts: readonly string[]): Promise<unknown>;
  /** From alice, who has a key, to the world; rejects with the reply to a message that is not taken. */
  send(...to: readonly string[]): Promise<void>;
}

export async function startWatched(nextHop: NonNullable<SinkOptions['reply']> = () => undefined): Promise<Watched> {
  await using starting = new AsyncDisposableStack();
  const outside = starting.use(await startSmtpSink({ reply: nextHop }));
  const gateway = starting.adopt(
    await startInstallation({ external: outside.port }),
    async (started) => void (await started.stop()),
  );
  await gateway.cli('identity', 'add', alice, '--algorithm', 'p-256');
  const targets = Object.values(gateway.ready.metrics).flatMap((urls) => urls.map((url) => new URL(url).host));
  const prometheus = starting.use(await startPrometheus(targets, { rules: hastened() }));
  const isFiring = async (alert: string): Promise<boolean> => (await prometheus.firing()).includes(alert);
  const stack = starting.move();

  return {
    gateway,
    isFiring,
    fires: (...alerts) =>
      Promise.all(alerts.map((alert) => until(`${alert} fires`, async () => (await isFiring(alert)) || undefined))),
    ends: (...alerts) =>
      Promise.all(
        alerts.map((alert) => until(`${alert} ends`, async () => !(await isFiring(alert)) || undefined, endsWithinMs)),
      ),
    async send(...to) {
      await using client = await connectSmtp(gateway.ready.outbound);
      await client.greet();
      const replies = await client.send({ from: alice, to, message: mail({ From: alice, To: 'list:;' }, 'Hello\n') });
      assert.equal(replies.message?.code, 250, replies.message?.text ?? '');
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Seconds in the place of minutes and hours. */
function hastened(): object {
  const text = readFileSync(join(import.meta.dirname, '../../infra/prometheus/alerts.yaml'), 'utf8');
  return parse(
    text
      .replaceAll(/for: \d+[mh]/g, 'for: 1s')
      .replaceAll(/\[\d+[mh]\]/g, '[10s]')
      .replace('> 4 * 3600', '> 3')
      .replace('{stage="crypto"}) > 60', '{stage="crypto"}) > 3'),
  );
}
