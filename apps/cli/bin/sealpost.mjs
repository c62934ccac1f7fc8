#!/usr/bin/env node
// The `sealpost` command: hands over to the pinned Node, because `npx` may run this with an older one.

import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
process.argv.splice(2, 0, 'apps/cli/src/main.ts');
await import(join(root, 'scripts/with-node.mjs'));
