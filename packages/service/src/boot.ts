// What every process does at its start: read the command line and the one configuration file, start log, telemetry and health,
// then the role's own work, and watch for the end.

import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { type Clock, codeOf, type EventName, events, type Log, type ServiceRole } from '@sealpost/core';
import { ConfigError } from './config/config-error.ts';
import { configFileVariable } from './config/environment.ts';
import type { HttpConfig } from './config/http.ts';
import type { Installation } from './config/installation.ts';
import { loadConfig } from './config/load.ts';
import { watchForEnd } from './drain.ts';
import { watchEventLoop } from './event-loop-lag.ts';
import { startHealth } from './health.ts';
import { leaveNoCore } from './leave-no-core.ts';
import { startLog } from './log.ts';
import { startTelemetry } from './telemetry/start-telemetry.ts';
import type { Telemetry } from './telemetry/telemetry.ts';
import { watchProcess } from './watch-process.ts';
import { within } from './within.ts';

/** EX_USAGE and EX_CONFIG of sysexits: a supervisor can tell a wrong file from a crash and need not restart. */
const exitUsage = 64;
const exitConfig = 78;

/** A signal during the start: what is nearly there is stopped in order; a start that hangs has nothing in hand. */
const startGraceMs = 1_000;

export interface ServiceContext {
  readonly config: Installation;
  readonly log: Log;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Unique per process: letters, digits, dots, dashes. */
  readonly instance: string;
}

export interface RunningService {
  /** Work may be sent here. */
  isReady(): Promise<boolean> | boolean;
  /** False when only a restart can help. */
  isLive(): Promise<boolean> | boolean;
  /** Stops accepting, finishes what is in hand, closes; within the deadline. */
  stop(deadlineMs: number): Promise<void>;
}

interface Options {
  readonly config: string;
  readonly checkOnly: boolean;
  readonly httpPort?: number;
}

/** Runs one role until a signal ends it. Everything in `main.ts` of an app is this one call. */
export async function runService(
  role: ServiceRole,
  start: (context: ServiceContext) => Promise<RunningService>,
): Promise<void> {
  leaveNoCore();
  const options = readOptions(process.argv.slice(2));
  const config = readConfig(options.config);
  if (options.checkOnly) return void process.stdout.write(`${options.config}: ok\n`);

  const instance = newInstance();
  const telemetry = startTelemetry(config.telemetry, { role, instance });
  watchEventLoop(telemetry);
  watchProcess(telemetry, role, config);
  const log = counted(startLog({ config: config.log, role, instance, current: telemetry.current }), telemetry);
  const clock: Clock = { now: () => new Date() };
  const started = Promise.withResolvers<RunningService>();
  let running: RunningService | undefined;

  const drain = watchForEnd(log, {
    stop: async (deadlineMs) => (await within(startGraceMs, () => started.promise)).stop(deadlineMs),
    close: async () => {
      await Promise.all([telemetry.close(), health.close()]);
    },
  });
  const health = await startHealth(
    { ...httpOf(config.http, role), ...(options.httpPort === undefined ? {} : { port: options.httpPort }) },
    {
      isLive: () => running?.isLive() ?? true,
      isReady: () => !drain.isDraining() && (running?.isReady() ?? false),
      answerScrape: telemetry.answerScrape,
    },
  ).catch((error: unknown) => refuse(log, error));

  log.event('process.started', { port: health.port });
  try {
    running = await start({ config, log, clock, telemetry, instance });
  } catch (error) {
    refuse(log, error);
  }
  started.resolve(running);
  log.event('process.ready', { port: health.port });
}

/**
 * Every event is a metric too, so an alert rule can watch for any of them. Those that want attention begin at 0: a series that
 * appears with 1 has not increased, as Prometheus sees it.
 */
function counted(log: Log, telemetry: Telemetry): Log {
  for (const event of Object.keys(events) as EventName[]) {
    if (events[event] !== 'info') telemetry.count('sealpost_events_total', { event }, 0);
  }
  return {
    event(name, fields) {
      telemetry.count('sealpost_events_total', { event: name });
      log.event(name, fields);
    },
  };
}

function httpOf(http: HttpConfig, role: ServiceRole) {
  switch (role) {
    case 'ingress':
      return http.ingress;
    case 'crypto-worker':
      return http.worker;
    case 'egress':
      return http.egress;
    case 'key-service':
      return http.keyService;
  }
}

/** A start that cannot succeed: say so and end. */
function refuse(log: Log, error: unknown): never {
  log.event('process.failed', { code: codeOf(error), ...(error instanceof Error ? { error } : {}) });
  process.exit(1);
}

function newInstance(): string {
  const host = hostname()
    .replace(/[^A-Za-z0-9.-]/g, '-')
    .slice(0, 63);
  return `${host}-${process.pid}-${randomBytes(4).toString('hex')}`;
}

function readConfig(file: string): Installation {
  try {
    return loadConfig(file);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(exitConfig);
  }
}

function readOptions(args: string[]): Options {
  try {
    const { values } = parseArgs({
      args,
      options: {
        config: { type: 'string' },
        'check-config': { type: 'boolean', default: false },
        'http-port': { type: 'string' },
      },
    });
    const config = values.config ?? process.env[configFileVariable];
    if (config === undefined) throw new TypeError(`--config FILE is missing, and so is ${configFileVariable}`);
    const port = values['http-port'];
    if (port !== undefined && !(/^[0-9]{1,5}$/.test(port) && Number(port) <= 65_535))
      throw new TypeError('--http-port must be a port, 0 for a free one');
    return {
      config,
      checkOnly: values['check-config'],
      ...(port === undefined ? {} : { httpPort: Number(port) }),
    };
  } catch (error) {
    process.stderr.write(
      `${error instanceof Error ? error.message : 'The command line cannot be read'}\n` +
        'Usage: main.ts --config FILE [--check-config] [--http-port PORT]\n',
    );
    process.exit(exitUsage);
  }
}
