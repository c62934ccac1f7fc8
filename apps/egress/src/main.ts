// The egress process: `main.ts --config FILE`.

import { runService } from '@sealpost/service';
import { start } from './start.ts';

await runService('egress', start);
