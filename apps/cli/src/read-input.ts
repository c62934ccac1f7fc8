// Reads a file that a person named on the command line.

import { readFileSync, statSync } from 'node:fs';
import { UsageError } from './usage-error.ts';

/** Mail with attachments may be large; anything beyond this was named by mistake. */
const maxInput = 256 * 1024 * 1024;

/** The file's bytes, or a `UsageError` that names it. */
export function readInput(file: string): Buffer {
  try {
    if (statSync(file).size > maxInput) throw new UsageError(`${file} is larger than ${maxInput} bytes`);
    return readFileSync(file);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`cannot read ${file}; check the name and its permissions`);
  }
}

/** The text of a file that holds a password or passphrase, without the newline that editors end files with; `-` is standard input. */
export function readSecretInput(file: string): string {
  const bytes = file === '-' ? readFileSync(0) : readInput(file);
  return bytes.toString('utf8').replace(/\r?\n$/, '');
}
