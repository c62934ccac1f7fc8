// `main.ts --config FILE --explain MAIL --from A --to B [--to C] [--direction inbound] [--json]`, which `sealpost explain` runs.

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Direction, domainOf, SealpostError } from '@sealpost/core';
import { ConfigError, connectKeyService, loadConfig, type TenantsConfig } from '@sealpost/service';
import { parseMailboxes, readHeaders } from '@sealpost/smime';
import { explain, explanationJson, explanationTable } from './explain.ts';

/** EX_USAGE, EX_UNAVAILABLE and EX_CONFIG of sysexits. */
const exitCodes = { usage: 64, unavailable: 69, config: 78 } as const;

export function isExplain(args: readonly string[]): boolean {
  return args.includes('--explain');
}

/** Prints a table, or JSON with `--json`. Exit codes: 64 for a wrong command line, 69 without the key service, 78 for the file. */
export async function explainCommand(args: string[]): Promise<void> {
  try {
    process.stdout.write(await answer(readOptions(args)));
  } catch (error) {
    process.exitCode = exitCodeOf(error);
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  }
}

interface Options {
  readonly config: string;
  readonly file: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly direction: Direction | undefined;
  readonly json: boolean;
}

async function answer(options: Options): Promise<string> {
  const config = loadConfig(options.config);
  const message = withCrlf(readFileSync(options.file));
  const { tenant, direction } = placeOf(config.tenants, message, options);
  const keys = connectKeyService(config.keyService, 'crypto-worker', 'explain');
  try {
    const explanation = await explain({
      certificates: keys,
      tenant: tenant.id,
      policy: tenant.policy,
      direction,
      from: options.from,
      to: options.to,
      message,
      now: new Date(),
    });
    return options.json ? `${JSON.stringify(explanationJson(explanation), null, 2)}\n` : explanationTable(explanation);
  } finally {
    await keys.close();
  }
}

/** Outbound mail belongs to the tenant of its From, inbound mail to that of its recipients; left open, outbound if the sender is ours. */
function placeOf(tenants: TenantsConfig, message: Buffer, { direction, from, to }: Options) {
  const [headerFrom = from] = readHeaders(message)
    .filter(({ name }) => name === 'from')
    .flatMap(({ value }) => parseMailboxes(value));
  const owner = (address: string) => tenants.find(({ domains }) => domains.includes(domainOf(address)));
  const sender = owner(headerFrom);
  const going = direction ?? (sender ? 'outbound' : 'inbound');
  const tenant = going === 'outbound' ? sender : owner(to[0] ?? '');
  if (!tenant)
    throw new TypeError(`No tenant has the domain of the ${going === 'outbound' ? 'From address' : 'recipient'}`);
  return { tenant, direction: going };
}

function readOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      config: { type: 'string' },
      explain: { type: 'string' },
      from: { type: 'string' },
      to: { type: 'string', multiple: true },
      direction: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const { config, explain: file, from, to, direction, json } = values;
  if (!config || !file || from === undefined || !to)
    throw new TypeError('--config, --explain, --from and --to are needed');
  if (direction !== undefined && direction !== 'outbound' && direction !== 'inbound') {
    throw new TypeError('--direction is outbound or inbound');
  }
  return { config, file, from, to, direction, json };
}

/** Files on a disk have the line ends of their system; mail in the pipeline has CRLF. */
function withCrlf(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('latin1').replace(/\r?\n/g, '\r\n'), 'latin1');
}

function exitCodeOf(error: unknown): number {
  if (error instanceof ConfigError) return exitCodes.config;
  return error instanceof SealpostError ? exitCodes.unavailable : exitCodes.usage;
}
