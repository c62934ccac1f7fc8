// Whether unwrapping an RSA v1.5 content key takes the same time for good and for bad padding: Welch's t over interleaved samples, of the
// unwrap step alone. Prints one JSON line; fails from |t| = 4.5 on.
// Usage: npm run bench -- unwrap-timing [--json] [--samples N]

import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, samples: { type: 'string', default: '100000' } },
});
process.argv.splice(2, process.argv.length, values.samples);
await import('../../packages/smime/test/v15-timing.ts');
