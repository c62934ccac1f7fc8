// The `sealpost` command. Each command is a file in commands/; this one lists them, loads the one that is asked for, and turns errors
// into one line and an exit code.

import { Command, CommanderError } from 'commander';
import { UsageError } from './usage-error.ts';

type AddCommand = (program: Command) => void;

/** By the first word, in the order of the help. Loaded when needed: a command on files must not wait for the parts of a gateway. */
const commands: Readonly<Record<string, () => Promise<AddCommand>>> = {
  up: async () => (await import('./commands/up.ts')).addUpCommand,
  identity: async () => (await import('./commands/identity.ts')).addIdentityCommands,
  import: async () => (await import('./commands/import.ts')).addImportCommand,
  keys: async () => (await import('./commands/keys.ts')).addKeysCommands,
  trust: async () => (await import('./commands/trust.ts')).addTrustCommands,
  'key-service': async () => (await import('./commands/key-service.ts')).addKeyServiceCommands,
  'break-glass': async () => (await import('./commands/break-glass.ts')).addBreakGlassCommands,
  leases: async () => (await import('./commands/leases.ts')).addLeaseCommands,
  approvals: async () => (await import('./commands/approvals.ts')).addApprovalsCommands,
  people: async () => (await import('./commands/people.ts')).addPeopleCommands,
  policy: async () => (await import('./commands/policy.ts')).addPolicyCommands,
  audit: async () => (await import('./commands/audit.ts')).addAuditCommands,
  backup: async () => (await import('./commands/backup.ts')).addBackupCommands,
  exposure: async () => (await import('./commands/exposure.ts')).addExposureCommand,
  queue: async () => (await import('./commands/queue.ts')).addQueueCommands,
  explain: async () => (await import('./commands/explain.ts')).addExplainCommand,
  plan: async () => (await import('./commands/plan.ts')).addPlanCommand,
  doctor: async () => (await import('./commands/doctor.ts')).addDoctorCommand,
  config: async () => (await import('./commands/config.ts')).addConfigCommands,
  smime: async () => (await import('./commands/smime.ts')).addSmimeCommands,
  pki: async () => (await import('./commands/pki.ts')).addPkiCommands,
};

const program = new Command('sealpost')
  .description('S/MIME gateway: signs and encrypts outbound mail, decrypts and verifies inbound mail')
  .showHelpAfterError('Add --help for what the command takes.')
  .exitOverride();

try {
  for (const load of asked(process.argv[2])) (await load())(program);
  await program.parseAsync();
} catch (error) {
  process.exitCode = await report(error);
}

/** The one command, or all of them for help and for a word that is none. */
function asked(word: string | undefined): readonly (() => Promise<AddCommand>)[] {
  const one = word !== undefined && Object.hasOwn(commands, word) ? commands[word] : undefined;
  return one === undefined ? Object.values(commands) : [one];
}

/** Exit codes: 0 done, 1 it could not be done, 2 the command line was wrong. */
async function report(error: unknown): Promise<number> {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const explained = error instanceof UsageError || (await isExplained(error));
  const text = error instanceof Error ? (explained ? error.message : error.stack) : String(error);
  process.stderr.write(`sealpost: ${text}\n`);
  return 1;
}

/** Errors whose text is meant for people. */
async function isExplained(error: unknown): Promise<boolean> {
  const { SealpostError, SetupError } = await import('@sealpost/core');
  const { ConfigError, KeyFault } = await import('@sealpost/service');
  return [KeyFault, SealpostError, SetupError, ConfigError].some((kind) => error instanceof kind);
}
