// The key service's process: `main.ts --config FILE` serves, `main.ts init --config FILE` makes what it needs first,
// `main.ts backup WORD` is for backups of it.

import { runService } from '@sealpost/service';
import { backupCommand } from './backup/command.ts';
import { init } from './init.ts';
import { start } from './start.ts';

const [, , word] = process.argv;
if (word === 'backup') process.exitCode = await backupCommand(process.argv.slice(3));
else if (word === 'init') process.exitCode = await init(process.argv.slice(3));
else await runService('key-service', start);
