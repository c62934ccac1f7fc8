// Messages by other implementations as seeds, where ../shared/corpus lies beside the checkout; without it there are none.

import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../../../shared/corpus');

/** Larger seeds make every execution slow and show nothing new. */
const MAX_SEED = 64 * 1024;

export const hasCorpus = existsSync(ROOT);

/** Files of these patterns below the corpus, small enough for a seed. */
export function corpusFiles(...patterns: readonly string[]): Buffer[] {
  if (!hasCorpus) return [];
  return globSync([...patterns], { cwd: ROOT })
    .map((name) => join(ROOT, name))
    .filter((path) => statSync(path).isFile() && statSync(path).size <= MAX_SEED)
    .map((path) => readFileSync(path));
}

export function corpusFile(name: string): Buffer {
  return readFileSync(join(ROOT, name));
}
