// The `sealpost` command. Each command is a file in commands/; this one lists them and turns errors into one line and an exit code.

import { SealpostError, SetupError } from '@sealpost/core';
import { ConfigError, KeyFault } from '@sealpost/service';
import { Command, CommanderError } from 'commander';
import { addConfigCommands } from './commands/config.ts';
import { addExplainCommand } from './commands/explain.ts';
import { addIdentityCommands } from './commands/identity.ts';
import { addImportCommand } from './commands/import.ts';
import { addKeyServiceCommands } from './commands/key-service.ts';
import { addQueueCommands } from './commands/queue.ts';
import { addTrustCommands } from './commands/trust.ts';
import { addUpCommand } from './commands/up.ts';
import { UsageError } from './usage-error.ts';

const program = new Command('sealpost')
  .description('S/MIME gateway: signs and encrypts outbound mail, decrypts and verifies inbound mail')
  .showHelpAfterError('Add --help for what the command takes.')
  .exitOverride();

addUpCommand(program);
addIdentityCommands(program);
addImportCommand(program);
addTrustCommands(program);
addKeyServiceCommands(program);
addQueueCommands(program);
addExplainCommand(program);
addConfigCommands(program);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** Exit codes: 0 done, 1 it could not be done, 2 the command line was wrong. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const isExplained = [UsageError, KeyFault, SealpostError, SetupError, ConfigError].some(
    (kind) => error instanceof kind,
  );
  if (isExplained && error instanceof Error) {
    process.stderr.write(`sealpost: ${error.message}\n`);
    return 1;
  }
  process.stderr.write(`sealpost: ${error instanceof Error ? error.stack : String(error)}\n`);
  return 1;
}
