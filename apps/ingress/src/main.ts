// The ingress process.

import { runService } from '@sealpost/service';
import { start } from './start.ts';

await runService('ingress', start);
