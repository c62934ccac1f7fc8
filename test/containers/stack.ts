// The stack of infra/compose.yaml for a test, brought up by the very commands of docs/operations.md: settings, people, a store for
// production, slots, second factors, a policy that two people settled. On a copy of the checkout, so that no operator's secrets are
// touched.

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
import { composeCommand, docker, extraAuthorities } from './engine.ts';
import { startWalk, type Walk } from './walk.ts';

const checkout = join(import.meta.dirname, '../..');
/** As whom the containers run. */
const user = 1000;

export type Service = 'redis' | 'key-service' | 'ingress' | 'crypto-worker' | 'egress' | 'sink';

export interface Stack {
  readonly outbound: { readonly host: string; readonly port: number };
  readonly inbound: { readonly host: string; readonly port: number };
  /** What the next hops took, oldest first. */
  readonly received: { readonly transactions: readonly SinkTransaction[] };
  /** The reader of docs/operations.md, after the sections up to the policy. */
  readonly walk: Walk;
  /** An operator's command in the session; what the page has a command for is given as it stands there. */
  readonly cli: Cli;
  containers(service: Service): readonly string[];
  /** Waits until as many containers of it are healthy. */
  untilHealthy(service: Service, count: number): Promise<void>;
  close(): Promise<void>;
}

export const version = 'test';

/** What a reader fills in; the rest of infra/env.example stays. */
async function settings() {
  return {
    COMPOSE_PROJECT_NAME: `sealpost-test-${process.pid}`,
    SEALPOST_VERSION: version,
    SEALPOST_HOSTNAME: 'gateway.alpha.test',
    SEALPOST_TENANT: 'alpha',
    SEALPOST_DOMAIN: 'alpha.test',
    SEALPOST_MAIL_SERVER: '10.213.77.1/32',
    SEALPOST_INTERNAL_HOST: 'sink',
    SEALPOST_INTERNAL_PORT: '2500',
    SEALPOST_EXTERNAL_HOST: 'sink',
    SEALPOST_EXTERNAL_PORT: '2500',
    SEALPOST_OUTBOUND_ADDRESS: `127.0.0.1:${await freePort()}`,
    SEALPOST_INBOUND_ADDRESS: `127.0.0.1:${await freePort()}`,
  };
}

/** Walks docs/operations.md from the fresh clone to a running gateway whose policy is in force. */
export async function startStack(progress: (line: string) => void): Promise<Stack> {
  const directory = await temporaryDirectory();
  chmodSync(directory.path, 0o755);
  const inside = (name: string): string => join(directory.path, name);
  for (const name of ['tls', 'received']) mkdirSync(inside(name));
  await makeTlsFiles(inside('tls'), { names: ['sink'] });
  for (const name of readdirSync(inside('tls'))) chmodSync(join(inside('tls'), name), 0o644);
  chownSync(inside('received'), user, user);
  copyCheckout(inside('clone'));
  const infra = inside('clone/infra');

  const chosen = await settings();
  const session = `${chosen.COMPOSE_PROJECT_NAME}-session`;
  const walk = startWalk(join(checkout, 'docs/operations.md'), {
    cwd: infra,
    env: {
      NPM_CA: extraAuthorities(),
      TEST_CHECKOUT: checkout,
      TEST_DIRECTORY: directory.path,
      COMPOSE_FILE: `compose.yaml:${join(import.meta.dirname, 'override.yaml')}`,
    },
    instead: { 'example.com': chosen.SEALPOST_DOMAIN, 'sealpost-session': session },
  });
  const close = async (): Promise<void> => {
    await walk.type(`docker rm -f ${session} || true`);
    await walk.type('docker-compose --profile setup --profile tools down --volumes --timeout 20');
    walk.end();
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
  /** Brings a file along, as people do. */
  const bring = (file: string, name = basename(file)): string => {
    copyFileSync(file, join(infra, 'people', name));
    chownSync(join(infra, 'people', name), user, user);
    return `/people/${name}`;
  };
  const asPrinted = async (beginning: string): Promise<void> => {
    for (const command of walk.commands('Identities and partners', beginning)) await walk.type(command);
  };

  try {
    // `docker-compose` on the page; where there is Compose v2, as the page says.
    await walk.type(composeCommand()?.length === 2 ? 'docker-compose() { docker compose "$@"; }' : ':');
    progress('settings, secrets, images');
    writeFileSync(join(infra, 'env.example'), filledIn(readFileSync(join(infra, 'env.example'), 'utf8'), chosen));
    for (const section of [
      'Settings, secrets, images',
      'People, and who opens a backup',
      'The key store',
      'Start, and open',
      'Second factors',
      'The policy, by two people',
    ]) {
      progress(section.toLowerCase());
      await walk.section(section);
    }
  } catch (error) {
    await close();
    throw error;
  }

  return {
    outbound: hostPort(chosen.SEALPOST_OUTBOUND_ADDRESS),
    inbound: hostPort(chosen.SEALPOST_INBOUND_ADDRESS),
    received: receivedIn(inside('received')),
    walk,
    async cli(...args) {
      const [noun = '', verb = '', ...more] = args;
      const file = more.at(-1) ?? '';
      if (noun === 'identity' && verb === 'add') {
        await asPrinted('sealpost people present');
        return await asPrinted('sealpost identity add');
      }
      if (noun === 'import') {
        bring(file === '' ? verb : file, 'partner.pem');
        return await asPrinted('sealpost import');
      }
      if (noun === 'trust') {
        bring(file, 'partner-ca.pem');
        return await asPrinted('sealpost trust add');
      }
      const handed = args.map((word) => (word.startsWith('/') && existsSync(word) ? bring(word) : word));
      const said = await walk.type(`sealpost ${handed.join(' ')} --json`);
      // Some commands have nothing to give to programs.
      return /^\s*[[{]/.test(said) ? JSON.parse(said) : said;
    },
    containers,
    async untilHealthy(service, count) {
      const deadline = performance.now() + 90_000;
      for (;;) {
        const states = containers(service).map((id) => docker('inspect', '-f', '{{.State.Health.Status}}', id));
        if (states.filter((state) => state === 'healthy').length >= count) return;
        if (performance.now() > deadline) {
          const logs = await walk.type(`docker-compose logs --tail=30 ${service}`);
          throw new Error(`${service} is ${states}:\n${logs.slice(-4_000)}`);
        }
        await sleep(500);
      }
    },
    close,
  };
}

/** What a clone has of what images are made of, and the stack. */
function copyCheckout(to: string): void {
  for (const name of ['package.json', 'package-lock.json', '.dockerignore', 'apps', 'packages', 'infra']) {
    cpSync(join(checkout, name), join(to, name), {
      recursive: true,
      filter: (file) => !/\/node_modules$|\/infra\/(people|backups|compose\/secrets|\.env)$/.test(file),
    });
  }
}

function filledIn(example: string, chosen: Readonly<Record<string, string>>): string {
  const kept = example.split('\n').filter((line) => !Object.hasOwn(chosen, line.split('=', 1)[0] ?? ''));
  return [...kept, ...Object.entries(chosen).map(([name, value]) => `${name}=${value}`), ''].join('\n');
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
