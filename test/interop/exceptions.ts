// The cases that may end otherwise than their manifest says: those that docs/interop.md lists with a reason, and no others.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const page = readFileSync(join(import.meta.dirname, '../../docs/interop.md'), 'utf8');
const heading = '## Cases that end otherwise than their manifest says';

/** Set → names of its cases. */
export function listedExceptions(): Map<string, Set<string>> {
  const section = page.slice(page.indexOf(heading)).split('\n## ')[0] ?? '';
  const listed = new Map<string, Set<string>>();
  for (const [, set = '', names = ''] of section.matchAll(/^\| ([a-z0-9-]+) \| ((?:`[^`]+`(?:, )?)+) \|/gm)) {
    const known = listed.get(set) ?? new Set<string>();
    for (const [, name = ''] of names.matchAll(/`([^`]+)`/g)) known.add(name);
    listed.set(set, known);
  }
  return listed;
}
