// A real Prometheus of one's own (Debian package prometheus) that reads a few targets often: for tests of what is asked of it.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** It opens an empty store within a second; on a busy machine within some. */
const startTimeoutMs = 20_000;

export interface Prometheus extends AsyncDisposable {
  readonly url: string;
  /** Values of the series that an instant query answers with. Throws with Prometheus' own words for a query that is none. */
  ask(query: string): Promise<readonly number[]>;
  /** Names of the alerts that fire now. */
  firing(): Promise<readonly string[]>;
}

export interface PrometheusOptions {
  /** How often targets are read and rules are judged. */
  readonly everyMs?: number;
  /** Rule groups, as a rule file has them. */
  readonly rules?: object;
}

export function hasPrometheus(): boolean {
  return spawnSync('prometheus', ['--version']).error === undefined;
}

/** Reads `/metrics` of the targets (`host:port`); resolves when it answers. */
export async function startPrometheus(
  targets: readonly string[],
  { everyMs = 1_000, rules = { groups: [] } }: PrometheusOptions = {},
): Promise<Prometheus> {
  const directory = await temporaryDirectory();
  const file = join(directory.path, 'prometheus.yml');
  const interval = `${everyMs}ms`;
  const ruleFile = join(directory.path, 'rules.yml');
  // JSON is YAML.
  writeFileSync(ruleFile, JSON.stringify(rules));
  writeFileSync(
    file,
    JSON.stringify({
      global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
      rule_files: [ruleFile],
      scrape_configs: [{ job_name: 'sealpost', static_configs: [{ targets }] }],
    }),
  );
  const address = `127.0.0.1:${await freePort()}`;
  const store = join(directory.path, 'data');
  const flags = [`--config.file=${file}`, `--storage.tsdb.path=${store}`, `--web.listen-address=${address}`];
  const child = spawn('prometheus', flags, { stdio: 'ignore' });
  const gone = once(child, 'exit');
  const url = `http://${address}`;

  async function stop(): Promise<void> {
    child.kill('SIGKILL');
    await gone;
    await directory.remove();
  }
  try {
    await answers(child, `${url}/-/ready`);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url,
    async ask(query) {
      const response = await fetch(`${url}/api/v1/query?${new URLSearchParams({ query })}`);
      const { data, error } = (await response.json()) as {
        data?: { result: readonly { value: readonly [number, string] }[] };
        error?: string;
      };
      if (!data) throw new Error(`${query}: ${error}`);
      return data.result.map(({ value }) => Number(value[1]));
    },
    async firing() {
      const { data } = (await (await fetch(`${url}/api/v1/alerts`)).json()) as {
        data: { alerts: readonly { state: string; labels: { alertname: string } }[] };
      };
      return data.alerts.filter(({ state }) => state === 'firing').map(({ labels }) => labels.alertname);
    },
    [Symbol.asyncDispose]: stop,
  };
}

async function answers(child: ChildProcess, url: string): Promise<void> {
  const deadline = performance.now() + startTimeoutMs;
  while (child.exitCode === null && performance.now() < deadline) {
    const answer = await fetch(url).catch(() => undefined);
    if (answer?.ok) return;
    await sleep(50);
  }
  throw new Error('Prometheus does not answer');
}
