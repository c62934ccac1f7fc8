// How the command line shows results: a table for people, one JSON value with `--json`.

import { stripVTControlCharacters } from 'node:util';

/** Writes one JSON line. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** Writes rows under headings, columns padded to their widest cell. Control characters never reach the terminal. */
export function printTable(headings: readonly string[], rows: readonly (readonly string[])[]): void {
  const clean = rows.map((row) => row.map(printable));
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...clean.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  process.stdout.write(`${[headings, ...clean].map(line).join('\n')}\n`);
}

/** What is known about one thing, a line each. */
export function printFacts(facts: Readonly<Record<string, string | number | boolean | undefined>>): void {
  const entries = Object.entries(facts).filter(([, value]) => value !== undefined);
  const width = Math.max(...entries.map(([name]) => name.length));
  process.stdout.write(entries.map(([name, value]) => `${name.padEnd(width)}  ${printable(String(value))}\n`).join(''));
}

/** Text from certificates and mail may hold escape sequences that drive a terminal. */
function printable(text: string): string {
  return stripVTControlCharacters(text).replace(/\p{Cc}/gu, ' ');
}
