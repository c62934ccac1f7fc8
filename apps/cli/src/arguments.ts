// What the commands that work on files share: values of options, and the exit code for a wrong command line.

import { SmimeError } from '@sealpost/smime';
import { type Command, InvalidArgumentError } from 'commander';
import { UsageError } from './usage-error.ts';

/** A date or time by ISO 8601; without a zone it is UTC. */
export function toDate(text: string): Date {
  const isIso = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$/.test(text);
  const date = new Date(/T[\d:.]+$/.test(text) ? `${text}Z` : text);
  if (!isIso || Number.isNaN(date.getTime()))
    throw new InvalidArgumentError('Write it as 2026-06-01 or 2026-06-01T12:00:00Z.');
  return date;
}

/** For options that may come several times. */
export function repeated(value: string, known: readonly string[] = []): string[] {
  return [...known, value];
}

/** Reads what `file` holds with `read`; what it cannot read is the fault of the command line. */
export function parsedFile<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof SmimeError) throw new UsageError(`${file}: ${error.message}`);
    throw error;
  }
}

/** Runs `action`; a file or a value that the command line got wrong ends in exit code 2. */
export async function orUsage<T>(command: Command, action: () => Promise<T> | T): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof UsageError) command.error(`sealpost: ${error.message}`, { exitCode: 2 });
    throw error;
  }
}
