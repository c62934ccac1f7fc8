// The test material by others, beside the checkout, and its manifest.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../../../shared/corpus');

export const isThere = existsSync(root);

export interface Row {
  readonly set: string;
  readonly file: string;
  readonly kind: string;
  readonly key: string;
  readonly password: string;
  readonly anchor: string;
  readonly expected: string;
}

export function pathOf(file: string): string {
  return join(root, file);
}

export function read(file: string): Buffer {
  return readFileSync(pathOf(file));
}

export function readJson<T>(file: string): T {
  return JSON.parse(read(file).toString('utf8'));
}

/** The manifest's rows of these sets. */
export function rowsOf(...sets: readonly string[]): Row[] {
  const lines = read('MANIFEST.tsv').toString('utf8').trimEnd().split('\n').slice(1);
  return lines.flatMap((line) => {
    const [set = '', file = '', kind = '', key = '', password = '', anchor = '', expected = ''] = line.split('\t');
    return sets.includes(set) ? [{ set, file, kind, key, password, anchor, expected }] : [];
  });
}
