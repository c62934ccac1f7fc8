// `sealpost up`: a whole gateway on this machine with one command; what `npm start` runs. Without `--dir` it also sends one real
// message around between two organisations and shows what happened to it.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { defaultDirectory } from '../installation.ts';
import { withKeyAdmin } from '../key-admin.ts';
import { printJson, printTable } from '../output.ts';
import { type DemoResult, type DemoWorld, demoTenants, startDemoWorld } from '../up/demo.ts';
import { type Gateway, startGateway } from '../up/gateway.ts';
import { startInstalled } from '../up/installed.ts';
import { type Layout, layoutOf } from '../up/layout.ts';
import { type Asked, hostPort, tenantOf } from '../up/settings.ts';
import { UsageError } from '../usage-error.ts';

interface Options {
  readonly dir?: string;
  readonly config?: string;
  readonly once?: boolean;
  readonly json?: boolean;
  readonly domain?: string;
  readonly workers?: number;
  readonly nextHopExternal?: string;
  readonly nextHopInternal?: string;
}

export function addUpCommand(program: Command): void {
  program
    .command('up')
    .description('run a whole gateway on this machine')
    .option('--once', 'send one message around, print what happened to it, and stop')
    .option('--json', 'print JSON: the result with --once, else one line when ready')
    .option('--dir <dir>', 'keep state here, send no demonstration mail')
    .option('--config <file>', 'run the processes of an installation by its own configuration, its key store as it is')
    .option('--domain <name>', 'mail domain of the organisation (with --dir)')
    .option('--workers <count>', 'crypto workers', workerCount)
    .option('--next-hop-external <host:port>', 'where mail to the world goes (with --dir)')
    .option('--next-hop-internal <host:port>', 'where mail to the domain goes (with --dir)')
    .addHelpText(
      'after',
      '\nExamples:\n  sealpost up\n  sealpost up --dir /var/lib/sealpost --domain alpha.test --next-hop-internal 127.0.0.1:10025 --next-hop-external 127.0.0.1:10026\n  sealpost up --config /etc/sealpost.yaml',
    )
    .action((options: Options) => {
      if (options.config !== undefined) return runInstalled(options, options.config);
      return options.dir === undefined ? demonstrate(options) : serve(options, options.dir);
    });
}

async function runInstalled(options: Options, file: string): Promise<void> {
  if (options.dir !== undefined || options.once || options.domain !== undefined)
    throw new UsageError('--config runs an installation as its file says; --dir, --once and --domain are for others');
  const stopping = untilStopped();
  const gateway = await startInstalled(file, options.workers ?? 1, progress, stopping);
  if (options.json) printJson({ ready: true });
  else progress('Sealpost is running; stop it with Ctrl-C');
  await stopping;
  progress('stopping');
  await gateway.stop();
}

async function serve(options: Options, directory: string): Promise<void> {
  if (options.once)
    throw new UsageError(
      '--once sends the demonstration mail, which an installation of your own (--dir) does not get; use one of them',
    );
  const stopping = untilStopped();
  const asked: Asked = {
    ...(options.domain === undefined ? {} : { tenants: [tenantOf(options.domain)] }),
    ...(options.workers === undefined ? {} : { workers: options.workers }),
    ...(options.nextHopExternal === undefined ? {} : { nextHopExternal: hostPort(options.nextHopExternal) }),
    ...(options.nextHopInternal === undefined ? {} : { nextHopInternal: hostPort(options.nextHopInternal) }),
  };
  const gateway = await startGateway(layoutOf(directory), asked, progress);
  if (options.json) printJson(readyLine(gateway));
  else announce(gateway, directory);
  await stopping;
  progress('stopping');
  await gateway.stop();
}

async function demonstrate(options: Options): Promise<void> {
  const directory = options.once ? mkdtempSync(join(tmpdir(), 'sealpost-once-')) : defaultDirectory;
  const layout = layoutOf(directory);
  const world = await startDemoWorld();
  try {
    const result = await showDemo(world, layout, options);
    if (!result.ok) throw new UsageError(`a step did not hold; the logs in ${layout.logs} tell why`);
    if (options.once) rmSync(directory, { recursive: true, force: true });
  } finally {
    await world.close();
  }
}

/** Starts the gateway, sends the message, prints what happened; stays up until it is stopped unless it is for once. */
async function showDemo(world: DemoWorld, layout: Layout, options: Options): Promise<DemoResult> {
  const stopping = untilStopped();
  const hops = { nextHopExternal: world.internet, nextHopInternal: world.mailbox };
  const gateway = await startGateway(
    layout,
    { tenants: demoTenants, workers: options.workers ?? 1, ...hops },
    progress,
  );
  try {
    progress('sending one message from alice@alpha.test to bob@beta.test');
    const result = await runDemo(world, gateway, layout);
    if (options.json) printJson(result);
    else show(result);
    if (!options.once) {
      announce(gateway, layout.root);
      await stopping;
    }
    return result;
  } finally {
    progress('stopping');
    await gateway.stop();
  }
}

function runDemo(world: DemoWorld, { settings }: Gateway, layout: Layout): Promise<DemoResult> {
  const { outbound, inbound } = settings.ports;
  return withKeyAdmin({ dir: layout.root }, (admin) =>
    world.run({ outbound: loopback(outbound), inbound: loopback(inbound), layout, admin }),
  );
}

/** The shape of this line is fixed (DESIGN.md, "Commands that stay stable"). */
function readyLine({ settings, pids }: Gateway) {
  const { ports } = settings;
  const metrics = (port: number): string => `http://127.0.0.1:${port}/metrics`;
  return {
    ready: true,
    outbound: loopback(ports.outbound),
    inbound: loopback(ports.inbound),
    redis: loopback(ports.redis),
    keyService: { url: `https://127.0.0.1:${ports.keyService}` },
    metrics: {
      ingress: [metrics(ports.ingressHttp)],
      worker: ports.workerHttp.map(metrics),
      egress: [metrics(ports.egressHttp)],
      keyService: [metrics(ports.keyServiceHttp)],
    },
    pids: pids(),
  };
}

function show({ ok, steps, timings }: DemoResult): void {
  process.stdout.write('\n');
  printTable(
    ['step', '', 'evidence'],
    steps.map((step) => [step.name, step.ok ? 'ok' : 'FAILED', step.detail]),
  );
  const times = Object.entries(timings).map(([name, ms]) => `${name} after ${ms} ms`);
  process.stdout.write(`\n${ok ? 'Every step held' : 'Not every step held'}: ${times.join(', ')}.\n`);
}

function announce({ settings }: Gateway, directory: string): void {
  const { ports } = settings;
  process.stdout.write(
    [
      '',
      `Sealpost is running. State is under ${directory}.`,
      `  outbound SMTP  127.0.0.1:${ports.outbound}    hand mail for the world in here`,
      `  inbound SMTP   127.0.0.1:${ports.inbound}    mail from the world comes in here`,
      `  metrics        http://127.0.0.1:${ports.ingressHttp}/metrics (ingress)`,
      'Stop it with Ctrl-C.',
      '',
    ].join('\n'),
  );
}

function loopback(port: number) {
  return { host: '127.0.0.1', port };
}

/** Progress goes to standard error, so that standard output holds results only. */
function progress(line: string): void {
  process.stderr.write(`sealpost: ${line}\n`);
}

/** Listens from the start, so that a signal during the start is not lost. */
function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => resolve());
  });
}

function workerCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > 256)
    throw new UsageError(`--workers takes a whole number from 1 to 256, not '${text}'`);
  return count;
}
