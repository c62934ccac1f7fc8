// The crypto worker: `main.ts --config FILE` serves; `main.ts --config FILE --explain MAIL …` says what would happen to a mail.

import { runService } from '@sealpost/service';
import { explainCommand, isExplain } from './explain-command.ts';
import { start } from './start.ts';

const args = process.argv.slice(2);
await (isExplain(args) ? explainCommand(args) : runService('crypto-worker', start));
