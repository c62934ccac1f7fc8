// The key service's process: `main.ts --config FILE` serves, `main.ts init --config FILE` makes what it needs first.

import { runService } from '@sealpost/service';
import { init } from './init.ts';
import { start } from './start.ts';

if (process.argv[2] === 'init') process.exitCode = await init(process.argv.slice(3));
else await runService('key-service', start);
