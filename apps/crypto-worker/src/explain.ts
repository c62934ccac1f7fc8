// `--explain FILE --from A --to B [--to C] [--direction inbound]`: every fact that the decision about a mail would look at, and the
// decision, without doing anything. The same code as the pipeline's gathers and decides.

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { decide, type Direction, domainOf, type Envelope, type Plan } from '@sealpost/core';
import { connectKeyService, type Installation, loadConfig, type TenantConfig } from '@sealpost/service';
import type { Candidate } from './certificates.ts';
import { type Classification, classificationOf } from './classify.ts';
import { type Gathered, gatherFacts, type FactSources } from './facts.ts';

export interface Explanation extends Gathered {
  readonly tenant: string;
  readonly classification: Classification;
  readonly envelope: Envelope;
  readonly plan: Plan;
}

/** EX_USAGE and EX_DATAERR of sysexits. */
const exitUsage = 64;

export function isExplain(args: readonly string[]): boolean {
  return args.includes('--explain');
}

/** Prints a table, or JSON with `--json`. Sets the exit code: 64 for a wrong command line. */
export async function explainMain(args: string[]): Promise<void> {
  const options = readOptions(args);
  if (typeof options === 'string') {
    process.stderr.write(`${options}\n`);
    process.exitCode = exitUsage;
    return;
  }
  const config = loadConfig(options.config);
  const tenant = tenantFor(config, options);
  if (!tenant) {
    process.stderr.write('No tenant has the domain of these addresses\n');
    process.exitCode = exitUsage;
    return;
  }
  const keys = connectKeyService(config.keyService, 'crypto-worker', 'explain');
  try {
    const explanation = await explain({
      certificates: keys,
      tenant: tenant.id,
      policy: tenant.policy,
      direction: options.direction,
      from: options.from,
      to: options.to,
      message: readFileSync(options.file),
      now: new Date(),
    });
    process.stdout.write(
      options.json ? `${JSON.stringify(explanationJson(explanation), null, 2)}\n` : explanationTable(explanation),
    );
  } finally {
    await keys.close();
  }
}

export interface Question extends Pick<FactSources, 'certificates' | 'tenant' | 'policy' | 'direction' | 'now'> {
  readonly from: string;
  readonly to: readonly string[];
  readonly message: Buffer;
}

export async function explain(question: Question): Promise<Explanation> {
  const { tenant, direction, from, to } = question;
  const message = withCrlf(question.message);
  const classification = classificationOf(message);
  const envelope: Envelope = {
    mailFrom: from,
    headerFrom: direction === 'outbound' ? (classification.from[0] ?? from) : '',
    recipients: to.map((address) => ({ address })),
    eightBit: false,
    smtpUtf8: false,
  };
  const gathered = await gatherFacts({ ...question, envelope, classification });
  return { ...gathered, tenant, classification, envelope, plan: decide(gathered.facts) };
}

interface Options {
  readonly config: string;
  readonly file: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly direction: Direction;
  readonly json: boolean;
}

function readOptions(args: string[]): Options | string {
  try {
    const { values } = parseArgs({
      args,
      options: {
        config: { type: 'string' },
        explain: { type: 'string' },
        from: { type: 'string' },
        to: { type: 'string', multiple: true },
        direction: { type: 'string', default: 'outbound' },
        json: { type: 'boolean', default: false },
      },
    });
    const { config, explain: file, from, to, direction, json } = values;
    if (!config || !file || from === undefined || !to)
      throw new TypeError('--config, --explain, --from and --to are needed');
    if (direction !== 'outbound' && direction !== 'inbound') throw new TypeError('--direction is outbound or inbound');
    return { config, file, from, to, direction, json };
  } catch (error) {
    return error instanceof Error ? error.message : 'The command line cannot be read';
  }
}

/** Outbound mail belongs to the sender's tenant, inbound mail to the recipients'. */
function tenantFor({ tenants }: Installation, { direction, from, to }: Options): TenantConfig | undefined {
  const domain = domainOf(direction === 'outbound' ? from : (to[0] ?? ''));
  return tenants.find(({ domains }) => domains.includes(domain));
}

/** Files on a disk have the line ends of their system; mail in the pipeline has CRLF. */
function withCrlf(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('latin1').replace(/\r?\n/g, '\r\n'), 'latin1');
}

export function explanationJson({ facts, plan, classification, tenant, envelope, candidates }: Explanation): object {
  const certificates = [...candidates].map(([address, list]) => ({ address, certificates: list.map(describe) }));
  const recipients = envelope.recipients.map(({ address }) => address);
  return { tenant, recipients, classification, facts, certificates, plan };
}

function describe({ record, certificate, refusal }: Candidate): object {
  return {
    fingerprint: record.fingerprint,
    ...(certificate ? { subject: certificate.subject, notAfter: certificate.notAfter.toISOString() } : {}),
    pinned: record.pinned,
    ownKey: record.keyId ?? null,
    usable: refusal === undefined,
    ...(refusal === undefined ? {} : { refusal }),
  };
}

export function explanationTable({ facts, plan, classification, tenant, envelope, candidates }: Explanation): string {
  const address = (at: number): string => envelope.recipients[at]?.address ?? '';
  const rows: [string, string][] = [
    ['tenant', tenant],
    ['direction', facts.direction],
    ['from', classification.from.join(', ') || '(none)'],
    ['malformed', String(classification.malformed)],
    ['protection', classification.protection],
    ['kinds that may be exempt', classification.exemptions.join(', ') || '(none)'],
    ...Object.entries(facts.policy).map(([name, value]): [string, string] => [`policy ${name}`, JSON.stringify(value)]),
    ...(facts.direction === 'outbound'
      ? ([
          ['null sender', String(facts.nullSender)],
          ['signs with', facts.signer ?? '(no signing key)'],
        ] satisfies [string, string][])
      : []),
    ...facts.recipients.map((recipient): [string, string] => [
      `recipient ${address(recipient.at)}`,
      'keys' in recipient
        ? `${recipient.keys.length} decryption keys`
        : `${recipient.visible ? 'in To or Cc' : 'hidden'}, ${recipient.certificate ?? 'no certificate'}`,
    ]),
    ...[...candidates].flatMap(([of, list]) =>
      list.map(({ record, refusal }): [string, string] => [
        `certificate of ${of}`,
        `${record.fingerprint.slice(0, 16)}… ${refusal ?? (record.pinned ? 'usable, pinned' : 'usable')}`,
      ]),
    ),
    ...plan.groups.map(({ id, recipients, action }): [string, string] => [
      `decision ${id}`,
      `${recipients.map(address).join(', ')}: ${JSON.stringify(action)}`,
    ]),
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return `${rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n')}\n`;
}
