// A process that holds keys must not leave its memory behind when it crashes. Node cannot call prctl or setrlimit; what Linux lets a
// process say about itself in a file is which of its memory a core dump may hold (core(5), coredump_filter), also for one that is
// piped to a collector, which RLIMIT_CORE does not stop.

import { readFileSync, writeFileSync } from 'node:fs';

const filter = '/proc/self/coredump_filter';

/** From now on core dumps of this process, and of those that it starts, hold none of its memory. False where that cannot be had. */
export function leaveNoCore(): boolean {
  try {
    writeFileSync(filter, '0x0');
    return Number.parseInt(readFileSync(filter, 'latin1'), 16) === 0;
  } catch {
    return false;
  }
}
