// A real key service for tests: store and credentials made by `init`, the process started as an operator would, calls over
// loopback with the real credentials.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import {
  type Envelope,
  envelopeHash,
  type KeyId,
  type KeyService,
  newMessageId,
  signTicket,
  type TenantId,
  type Ticket,
  type TicketSigner,
} from '@sealpost/core';
import {
  connectKeyService,
  type Installation,
  type KeyCaller,
  type KeyConnection,
  loadConfig,
  openKeyConnection,
} from '@sealpost/service';
import { freePort, type TemporaryDirectory, temporaryDirectory } from '@sealpost/testkit';
import { firstPolicy } from '../src/policy/first-policy.ts';
import { withStore } from './people.ts';

const main = join(import.meta.dirname, '../src/main.ts');
const readyMs = 15_000;

export interface RunningKeyService extends AsyncDisposable {
  readonly directory: string;
  readonly configFile: string;
  readonly config: Installation;
  readonly port: number;
  /** What the process wrote so far. */
  output(): string;
  /** A raw connection with a role's credential. */
  call(role: KeyCaller): KeyConnection;
  /** The port as a stage sees it. */
  as(role: 'ingress' | 'crypto-worker' | 'egress', instance?: string): KeyService;
  start(): Promise<void>;
  end(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  pid(): number;
}

export interface Options {
  /** Either store has the policy of a development store: one operator may do everything. */
  readonly slot?: 'file' | 'passphrase';
  /** Merged into section `keyServer`. */
  readonly keyServer?: Record<string, unknown>;
  readonly passphrase?: string;
  /** For `init`, with `fresh`. */
  readonly slots?: readonly string[];
  /** With keys of its own, not those that the other services of this test file share. */
  readonly fresh?: boolean;
  /** Added to the environment of the process. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Runs after `init` and before the process starts. */
  prepare?(directory: string, config: Installation): Promise<void> | void;
}

/** Every start compiles the same files; Node may keep what it made of them. */
const env = () => ({
  ...process.env,
  NODE_COMPILE_CACHE: join(import.meta.dirname, '../../../node_modules/.cache/node-compile'),
});

/** Installations made by `init` in this process, to copy from: making keys takes a second each time. */
const templates = new Map<string, Promise<TemporaryDirectory>>();
after(async () => {
  for (const template of templates.values()) await (await template).remove();
});

export const passphrase = 'correct horse battery staple';

export async function runKeyService(options: Options = {}): Promise<RunningKeyService> {
  const temporary = await temporaryDirectory();
  const directory = temporary.path;
  const port = await freePort();
  const healthPort = await freePort();
  const made = options.fresh ? await initialised(options) : await template(options);
  for (const part of ['keys', 'audit', 'credentials', 'root']) {
    cpSync(join(made.path, part), join(directory, part), { recursive: true, force: false });
  }
  if (options.fresh) await made.remove();
  const configFile = writeConfig(directory, port, healthPort, options);
  const config = loadConfig(configFile);
  await options.prepare?.(directory, config);
  const { environment = {} } = options;
  return await startKeyService(temporary, { configFile, config, port, healthPort, environment });
}

/** One whose store and credentials are there already. */
export async function serveAt(configFile: string): Promise<RunningKeyService> {
  const config = loadConfig(configFile);
  const [port, healthPort] = [config.keyServer.listen.port, config.http.keyService.port];
  return await startKeyService(await temporaryDirectory(), { configFile, config, port, healthPort });
}

function template(options: Options): Promise<TemporaryDirectory> {
  const slot = options.slot ?? 'file';
  const known = templates.get(slot) ?? initialised(options);
  templates.set(slot, known);
  return known;
}

async function initialised(options: Options): Promise<TemporaryDirectory> {
  const temporary = await temporaryDirectory();
  const file = writeConfig(temporary.path, 1, 2, options);
  const wishes = (options.slots ?? []).flatMap((wish) => ['--slot', wish]);
  const made = runInit(file, options.slot === 'passphrase' ? passphrase : undefined, wishes);
  if (made.status !== 0) throw new Error(`init failed: ${made.stderr}`);
  if (options.slot === 'passphrase') {
    writeFileSync(join(temporary.path, 'root'), '');
    await withStore(loadConfig(file), Buffer.from(passphrase), (store) => store.policies.replace(firstPolicy(true)));
  }
  return temporary;
}

export function writeConfig(directory: string, port: number, healthPort: number, options: Options = {}): string {
  const file = join(directory, 'installation.yaml');
  const credentials = join(directory, 'credentials');
  const slot = options.slot === 'passphrase' ? { kind: 'passphrase' } : { kind: 'file', file: join(directory, 'root') };
  const config = {
    installation: 'gateway.alpha.test',
    redis: { host: '127.0.0.1', port: 6379 },
    keyService: {
      url: `https://127.0.0.1:${port}`,
      caFile: join(credentials, 'ca.crt'),
      credentials,
      passphraseFile: join(credentials, 'passphrase'),
    },
    tenants: [
      { id: 'alpha', domains: ['alpha.test'] },
      { id: 'beta', domains: ['beta.test'] },
    ],
    ingress: { outbound: { startTls: 'off' }, inbound: { startTls: 'off' } },
    keyServer: {
      listen: { host: '127.0.0.1', port },
      directory: join(directory, 'keys'),
      audit: { file: join(directory, 'audit', 'audit.log') },
      slot,
      ...options.keyServer,
    },
    http: { keyService: { host: '127.0.0.1', port: healthPort } },
    egress: { routes: [] },
  };
  // YAML reads JSON.
  writeFileSync(file, JSON.stringify(config));
  return file;
}

/** Runs `init`; a passphrase is given on standard input. */
export function runInit(configFile: string, typed?: string, more: readonly string[] = []) {
  const secret = typed === undefined ? [] : ['--passphrase-file', '-'];
  const args = [main, 'init', '--config', configFile, ...secret, ...more];
  return spawnSync(process.execPath, args, { input: typed ?? '', encoding: 'utf8', env: env() });
}

interface Place {
  readonly configFile: string;
  readonly config: Installation;
  readonly port: number;
  readonly healthPort: number;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Starts the service on what `init` made in the directory, which goes when the service does. */
export async function startKeyService(temporary: TemporaryDirectory, place: Place): Promise<RunningKeyService> {
  const { configFile, config, port, healthPort, environment = {} } = place;
  let child: ChildProcess | undefined;
  let output = '';
  const open: { close(): unknown }[] = [];

  async function start(): Promise<void> {
    const started = spawn(process.execPath, [main, '--config', configFile], {
      env: { ...env(), ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child = started;
    for (const stream of [started.stdout, started.stderr]) {
      stream?.on('data', (text: Buffer) => {
        output += text.toString();
      });
    }
    const deadline = Date.now() + readyMs;
    while (!(await answers(healthPort))) {
      if (started.exitCode !== null || Date.now() > deadline)
        throw new Error(`the key service did not start: ${output}`);
      await wait(30);
    }
  }

  async function end(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  const keep = <T extends { close(): unknown }>(connection: T): T => {
    open.push(connection);
    return connection;
  };
  await start();
  return {
    directory: temporary.path,
    configFile,
    config,
    port,
    output: () => output,
    call: (role) => keep(openKeyConnection(config.keyService, role)),
    as: (role, instance = `${role}-test`) => keep(connectKeyService(config.keyService, role, instance)),
    start,
    end,
    pid: () => child?.pid ?? 0,
    async [Symbol.asyncDispose]() {
      for (const connection of open) await connection.close();
      await end();
      await temporary.remove();
    },
  };
}

/** Live is enough: a sealed service is not ready, and serves all the same. The process says so once it listens. */
async function answers(port: number): Promise<boolean> {
  try {
    const metrics = await fetch(`http://127.0.0.1:${port}/metrics`);
    return /^sealpost_key_store_listening 1$|^sealpost_key_store_open/m.test(await metrics.text());
  } catch {
    return false;
  }
}

export interface Mail {
  readonly tenant?: string;
  readonly direction?: 'outbound' | 'inbound';
  readonly from?: string;
  readonly to?: readonly string[];
  readonly acceptedAt?: Date;
  readonly change?: Partial<Ticket>;
}

/** A ticket and its envelope, as a stage with this signer would make them. */
export function ticketFor(signer: TicketSigner, mail: Mail = {}): { ticket: Buffer; envelope: Envelope; id: string } {
  const from = mail.from ?? 'alice@alpha.test';
  const envelope: Envelope = {
    mailFrom: from,
    headerFrom: from,
    recipients: (mail.to ?? ['bob@beta.test']).map((address) => ({ address })),
    eightBit: false,
    smtpUtf8: false,
    salt: 'salt',
  };
  const now = new Date();
  const id = newMessageId(now);
  const tenant = (mail.tenant ?? 'alpha') as TenantId;
  const ticket = signTicket(
    {
      kind: 'crypto',
      tenant,
      id,
      direction: mail.direction ?? 'outbound',
      source: 'test',
      envelopeHash: envelopeHash(envelope),
      acceptedAt: mail.acceptedAt ?? now,
      issuedAt: now,
      blobHash: Buffer.alloc(32, 7),
      keyId: `${tenant}/stage.crypto/spool/1` as KeyId,
      previous: Buffer.alloc(0),
      ...mail.change,
    },
    signer,
  );
  return { ticket, envelope, id };
}
