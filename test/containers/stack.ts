// The stack of infra/compose.yaml for a test, brought up the way that docs/operations.md tells, on a copy of infra/ so that no
// operator's secrets are touched.

import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, makeTlsFiles, type SinkTransaction, temporaryDirectory } from '@sealpost/testkit';
import type { Cli } from '../fault/post.ts';
import { composeCommand, docker, extraAuthorities, run } from './engine.ts';

const checkout = join(import.meta.dirname, '../..');
/** As whom the containers run. */
const user = 1000;

export type Service = 'redis' | 'key-service' | 'ingress' | 'crypto-worker' | 'egress' | 'sink';

export interface Stack {
  readonly outbound: { readonly host: string; readonly port: number };
  readonly inbound: { readonly host: string; readonly port: number };
  /** What the next hops took, oldest first. */
  readonly received: { readonly transactions: readonly SinkTransaction[] };
  /** `docker-compose ARGS` on the stack. */
  compose(...args: string[]): Promise<string>;
  /** `docker-compose run --rm cli ARGS --json`; files that exist are handed in. */
  readonly cli: Cli;
  containers(service: Service): readonly string[];
  /** Waits until as many containers of it are healthy. */
  untilHealthy(service: Service, count: number): Promise<void>;
  close(): Promise<void>;
}

export const version = 'test';

/** Settings as in infra/env.example. The store is one for development, where one person may do everything. */
async function settings() {
  return {
    COMPOSE_PROJECT_NAME: `sealpost-test-${process.pid}`,
    SEALPOST_VERSION: version,
    SEALPOST_HOSTNAME: 'gateway.alpha.test',
    SEALPOST_TENANT: 'alpha',
    SEALPOST_DOMAIN: 'alpha.test',
    SEALPOST_SLOT_FILE: '/var/lib/sealpost/keys/slot',
    SEALPOST_MAIL_SERVER: '10.213.77.1/32',
    SEALPOST_INTERNAL_HOST: 'sink',
    SEALPOST_INTERNAL_PORT: '2500',
    SEALPOST_EXTERNAL_HOST: 'sink',
    SEALPOST_EXTERNAL_PORT: '2500',
    SEALPOST_OUTBOUND_ADDRESS: `127.0.0.1:${await freePort()}`,
    SEALPOST_INBOUND_ADDRESS: `127.0.0.1:${await freePort()}`,
  };
}

/** Builds the images, makes secrets, key store and credentials, and starts everything. */
export async function startStack(progress: (line: string) => void): Promise<Stack> {
  const directory = await temporaryDirectory();
  chmodSync(directory.path, 0o755);
  const inside = (name: string): string => join(directory.path, name);
  for (const name of ['tls', 'received', 'in']) mkdirSync(inside(name));
  cpSync(join(checkout, 'infra'), inside('infra'), {
    recursive: true,
    filter: (file) => !/\/secrets$|\/\.env$/.test(file),
  });
  await makeTlsFiles(inside('tls'), { names: ['sink'] });
  for (const name of readdirSync(inside('tls'))) chmodSync(join(inside('tls'), name), 0o644);
  chownSync(inside('received'), user, user);

  const chosen = await settings();
  writeFileSync(
    inside('infra/.env'),
    Object.entries(chosen)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  );
  const env = { NPM_CA: extraAuthorities(), TEST_CHECKOUT: checkout, TEST_DIRECTORY: directory.path };
  const form = [
    ...(composeCommand() ?? []),
    '--project-directory',
    inside('infra'),
    '--env-file',
    inside('infra/.env'),
  ];
  const compose = (...args: string[]): Promise<string> =>
    run([...form, '-f', inside('infra/compose.yaml'), '-f', join(import.meta.dirname, 'override.yaml'), ...args], env);
  const close = async (): Promise<void> => {
    await compose('--profile', 'setup', '--profile', 'tools', 'down', '--volumes', '--timeout', '20');
    await directory.remove();
  };
  const containers = (service: Service): readonly string[] =>
    docker(
      'ps',
      '-q',
      '--filter',
      `label=com.docker.compose.project=${chosen.COMPOSE_PROJECT_NAME}`,
      '--filter',
      `label=com.docker.compose.service=${service}`,
    )
      .split('\n')
      .filter((id) => id !== '');

  try {
    progress('building the images');
    const built = ['-f', join(checkout, 'infra/compose.yaml'), '--profile', 'tools', 'build'];
    await run([...(composeCommand() ?? []), '--env-file', inside('infra/.env'), ...built], env);
    progress('making secrets, key store and credentials');
    await run(['sh', inside('infra/compose/make-secrets.sh')], {});
    await compose('run', '--rm', '-T', 'init');
    progress('starting');
    await compose('up', '-d');
  } catch (error) {
    await close();
    throw error;
  }

  return {
    outbound: hostPort(chosen.SEALPOST_OUTBOUND_ADDRESS),
    inbound: hostPort(chosen.SEALPOST_INBOUND_ADDRESS),
    received: receivedIn(inside('received')),
    compose,
    async cli(...args) {
      const handed = args.map((word) => {
        if (!word.startsWith('/') || !existsSync(word)) return word;
        copyFileSync(word, join(inside('in'), basename(word)));
        chmodSync(join(inside('in'), basename(word)), 0o644);
        return `/in/${basename(word)}`;
      });
      const words = ['run', '--rm', '-T', '-v', `${inside('in')}:/in:ro`, 'cli', ...handed, '--json'];
      const said = await compose(...words);
      // Some commands have nothing to give to programs.
      return /^\s*[[{]/.test(said) ? JSON.parse(said) : said;
    },
    containers,
    async untilHealthy(service, count) {
      const deadline = performance.now() + 90_000;
      for (;;) {
        const states = containers(service).map((id) => docker('inspect', '-f', '{{.State.Health.Status}}', id));
        if (states.filter((state) => state === 'healthy').length >= count) return;
        if (performance.now() > deadline)
          throw new Error(`${service} is ${states}:\n${(await compose('logs', '--tail=30', service)).slice(-4_000)}`);
        await sleep(500);
      }
    },
    close,
  };
}

function hostPort(text: string) {
  const [host = '', port] = text.split(':');
  return { host, port: Number(port) };
}

function receivedIn(directory: string) {
  const read: SinkTransaction[] = [];
  return {
    get transactions() {
      for (
        let file = join(directory, `${read.length}.json`);
        existsSync(file);
        file = join(directory, `${read.length}.json`)
      ) {
        const { message, ...rest } = JSON.parse(readFileSync(file, 'utf8'));
        read.push({ ...rest, message: Buffer.from(message, 'base64') });
      }
      return read;
    },
  };
}
