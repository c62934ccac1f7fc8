// Writes a file that a person named on the command line.

import { writeFileSync } from 'node:fs';
import { UsageError } from './usage-error.ts';

/** A new file is its owner's alone: it may hold the text of a mail. Throws `UsageError` when it cannot be written. */
export function writeOutput(file: string, octets: Buffer): void {
  try {
    writeFileSync(file, octets, { mode: 0o600 });
  } catch {
    throw new UsageError(`cannot write ${file}; check the directory and its permissions`);
  }
}
