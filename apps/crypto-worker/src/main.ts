// The crypto worker: `main.ts --config FILE` serves; `main.ts --config FILE --explain MAIL …` says what would happen to a mail.

import { runService } from '@sealpost/service';
import { explainMain, isExplain } from './explain.ts';
import { start } from './start.ts';

const args = process.argv.slice(2);
await (isExplain(args) ? explainMain(args) : runService('crypto-worker', start));
