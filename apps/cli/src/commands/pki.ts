// `sealpost pki`: certificate paths by RFC 5280, on files.

import { type PathPurpose, type PathRequest, type PathResult, parseCrls, validatePath } from '@sealpost/smime';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { orUsage, parsedFile, repeated, toDate } from '../arguments.ts';
import { printFacts, printJson } from '../output.ts';
import { readInput } from '../read-input.ts';
import { describePath } from '../smime/describe.ts';
import { readCertificates } from '../smime/holders.ts';
import { UsageError } from '../usage-error.ts';

interface Flags {
  readonly leaf: string;
  readonly intermediate?: readonly string[];
  readonly trust: readonly string[];
  readonly crl?: readonly string[];
  readonly at?: Date;
  readonly purpose: PathPurpose;
  readonly email?: string;
  readonly policy?: readonly string[];
  readonly initialExplicitPolicy?: boolean;
  readonly initialPolicyMappingInhibit?: boolean;
  readonly initialAnyPolicyInhibit?: boolean;
  readonly json?: boolean;
}

const purposes: readonly PathPurpose[] = ['smime', 'smime-sign', 'tls-client', 'tls-server', 'any'];
const anyPolicy = '2.5.29.32.0';

export function addPkiCommands(program: Command): void {
  const pki = program.command('pki').description('certificates and their paths');
  const command = pki.command('check');
  command
    .description('check whether a certificate holds: path, time, purpose, policies, revocation')
    .requiredOption('--leaf <file>', 'certificate to check')
    .option('--intermediate <file>', 'certificates that may help to build the path; repeatable', repeated)
    .requiredOption('--trust <file>', 'trust anchors; repeatable', repeated)
    .option('--crl <file>', 'revocation lists; with any, every certificate needs one; repeatable', repeated)
    .option('--at <date>', 'time for which everything must be valid, ISO 8601; default: now', toDate)
    .addOption(new Option('--purpose <name>', 'what the certificate is for').choices(purposes).default('smime'))
    .option('--email <address>', 'address that the certificate must name')
    .option('--policy <oid>', 'acceptable policy, or anyPolicy; repeatable', policies)
    .option('--initial-explicit-policy', 'the path must be valid for an acceptable policy')
    .option('--initial-policy-mapping-inhibit', 'policies may not be mapped')
    .option('--initial-any-policy-inhibit', 'anyPolicy in a certificate stands for nothing')
    .option('--json', 'print one JSON value')
    .addHelpText(
      'after',
      `
Exit status: 0 the path holds, 1 it does not, 2 the command line was wrong.

Example:
  sealpost pki check --leaf alice.pem --intermediate ca.pem --trust root.pem --email alice@alpha.test --at 2026-06-01`,
    )
    .action(async (flags: Flags) => {
      const result = await orUsage(command, () => check(flags));
      if (!result.ok) process.exitCode = 1;
      const facts = describePath(result);
      if (flags.json) return printJson(facts);
      printFacts({
        ok: facts.ok,
        path: facts.path.map(({ subject }) => subject).join(' < ') || undefined,
        failure: facts.failure?.code,
        depth: facts.failure?.depth,
      });
    });
}

function policies(value: string, known: readonly string[] = []): string[] {
  const oid = /^any-?policy$/i.test(value) ? anyPolicy : value;
  if (!/^[0-2](\.\d+)+$/.test(oid)) throw new InvalidArgumentError('Write it as 1.2.3.4 or anyPolicy.');
  return [...known, oid];
}

function check(flags: Flags): PathResult {
  const [leaf, ...issuers] = readCertificates(flags.leaf);
  if (leaf === undefined) throw new UsageError(`${flags.leaf} holds no certificate`);
  const request: Omit<PathRequest, 'leaf'> = {
    intermediates: [...issuers, ...(flags.intermediate ?? []).flatMap(readCertificates)],
    trust: flags.trust.flatMap(readCertificates),
    at: flags.at ?? new Date(),
    purpose: flags.purpose,
    explicitPolicy: flags.initialExplicitPolicy ?? false,
    inhibitMapping: flags.initialPolicyMappingInhibit ?? false,
    inhibitAnyPolicy: flags.initialAnyPolicyInhibit ?? false,
    ...(flags.email === undefined ? {} : { address: flags.email }),
    ...(flags.policy === undefined ? {} : { policies: flags.policy }),
    ...(flags.crl === undefined
      ? {}
      : { crls: flags.crl.flatMap((file) => parsedFile(file, () => parseCrls(readInput(file)))) }),
  };
  return validatePath({ ...request, leaf });
}
