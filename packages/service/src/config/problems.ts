// Turns what the schema found into sentences for the operator: the key path, what is allowed, and for an unknown key the known
// one that it looks like. The given value is never repeated: it could be a secret in the wrong place.

import type * as z from 'zod';
import type { KeyPath } from './read-yaml.ts';
import { type Schema, schemaAt, shapeOf } from './shape.ts';

/** What is wrong at a path, before it is known where that stands in the file. */
export interface Finding {
  readonly at: KeyPath;
  /** What is wrong and what is allowed. */
  readonly text: string;
  /** It is the key that is wrong. */
  readonly aboutKey?: true;
}

/** Longest key that is compared and printed; a longer one is not a slip of the pen. */
const longestKey = 64;

export function findingsOf(schema: Schema, issues: readonly z.core.$ZodIssue[]): Finding[] {
  return issues.flatMap((issue): Finding[] => {
    const at = keyPath(issue.path);
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(schema, at, key));
    return [{ at, text: sentence(issue) }];
  });
}

/** Of YAML, no key is a symbol. */
function keyPath(path: readonly PropertyKey[]): KeyPath {
  return path.map((key) => (typeof key === 'number' ? key : String(key)));
}

/** `a.b[0].c` */
export function formatPath(path: KeyPath): string {
  return path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${printable(key)}`))
    .join('')
    .replace(/^\./, '');
}

function unknownKey(schema: Schema, parent: KeyPath, key: string): Finding {
  const at = schemaAt(schema, parent);
  const known = Object.keys((at && shapeOf(at)) ?? {});
  const close = closest(key, known);
  return {
    at: [...parent, key],
    text:
      close === undefined ? `unknown key; known here: ${known.join(', ')}` : `unknown key; did you mean "${close}"?`,
    aboutKey: true,
  };
}

/** Issues carry their input (`reportInput`), which tells a missing key from a wrong value; nothing else is done with it. */
function sentence(issue: z.core.$ZodIssue): string {
  return issue.code !== 'custom' && issue.input === undefined ? `is missing; ${allowed(issue)}` : allowed(issue);
}

function allowed(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.message.startsWith('must') ? issue.message : (words[issue.expected] ?? 'is of the wrong type');
    case 'invalid_value':
      return `must be ${issue.values.length > 1 ? 'one of ' : ''}${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return `must ${measure(issue.origin)} at least ${issue.minimum}${unit(issue.origin)}`;
    case 'too_big':
      return `must ${measure(issue.origin)} at most ${issue.maximum}${unit(issue.origin)}`;
    default:
      return issue.message;
  }
}

const words: Readonly<Record<string, string>> = {
  object: 'must be a section with keys',
  record: 'must be a section with keys',
  array: 'must be a list',
  string: 'must be a text',
  number: 'must be a number',
  int: 'must be a whole number',
  boolean: 'must be true or false',
};

const measure = (origin: string): string => (origin === 'array' || origin === 'string' ? 'have' : 'be');
const unit = (origin: string): string => (origin === 'array' ? ' items' : origin === 'string' ? ' characters' : '');

/** The known key at the least distance, if that is small for the key's length. */
function closest(key: string, known: readonly string[]): string | undefined {
  if (key.length > longestKey) return undefined;
  const [best] = known
    .map((candidate) => ({ candidate, distance: distanceBetween(key.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ distance, candidate }) => distance <= Math.max(1, Math.floor(candidate.length / 3)))
    .sort((a, b) => a.distance - b.distance);
  return best?.candidate;
}

/** Damerau-Levenshtein distance in its restricted form: edits and swaps of neighbours. */
function distanceBetween(a: string, b: string): number {
  const rows: number[][] = [[...Array(b.length + 1).keys()]];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      const edit = Math.min(at(rows, i - 1, j) + 1, (row[j - 1] ?? 0) + 1, at(rows, i - 1, j - 1) + cost);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(swapped ? Math.min(edit, at(rows, i - 2, j - 2) + 1) : edit);
    }
    rows.push(row);
  }
  return at(rows, a.length, b.length);
}

const at = (rows: readonly (readonly number[])[], i: number, j: number): number => rows[i]?.[j] ?? 0;

function printable(key: string): string {
  const text = key.length > longestKey ? `${key.slice(0, longestKey)}…` : key;
  return /^[\p{L}\p{N}_-]+$/u.test(text) ? text : JSON.stringify(text);
}
