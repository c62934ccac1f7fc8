// `sealpost doctor`: looks at a whole installation and says what to do.

import type { Command } from 'commander';
import { examineFiles } from '../doctor/files.ts';
import type { Finding } from '../doctor/finding.ts';
import { examineKeyService } from '../doctor/key-store.ts';
import { examineMachine } from '../doctor/machine.ts';
import { examineNetwork } from '../doctor/network.ts';
import { examineRedis } from '../doctor/redis.ts';
import { type InstallationOptions, installationOf, withInstallation } from '../installation.ts';
import { printJson, printTable } from '../output.ts';

type Options = InstallationOptions & { readonly json?: boolean };

export function addDoctorCommand(program: Command): void {
  withInstallation(program.command('doctor'))
    .description('look at an installation from this machine: Redis, keys, TLS, names, ports, clock, permissions')
    .addHelpText(
      'after',
      '\nExit code 1 when something failed.\n\nExample:\n  sealpost doctor --config /etc/sealpost.yaml',
    )
    .action(run);
}

async function run(options: Options): Promise<void> {
  const config = installationOf(options);
  const findings: Finding[] = [
    ...examineMachine(),
    ...examineFiles(config),
    ...(await examineRedis(config)),
    ...(await examineKeyService(config)),
    ...(await examineNetwork(config)),
  ];
  const isWell = findings.every(({ severity }) => severity !== 'failed');
  if (options.json) printJson({ ok: isWell, findings });
  else show(findings);
  if (!isWell) process.exitCode = 1;
}

function show(findings: readonly Finding[]): void {
  printTable(
    ['', 'what', 'finding'],
    findings.map(({ severity, what, text }) => [severity, what, text]),
  );
  const remedies = findings.filter(({ remedy }) => remedy !== undefined);
  if (remedies.length === 0) return;
  process.stdout.write(`\nWhat to do:\n${remedies.map(({ what, remedy }) => `- ${what}: ${remedy}\n`).join('')}`);
}
