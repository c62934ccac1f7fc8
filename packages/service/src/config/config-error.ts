// What is wrong with a configuration file, for the person who wrote it: where it stands and what is allowed there. The given value is
// never repeated: it could be a secret in the wrong place.

import type { Place } from './read-yaml.ts';

export interface Problem extends Partial<Place> {
  /** Key path, `egress.routes[0].tls`; empty for the whole file. */
  readonly path: string;
  /** What is wrong and what is allowed. */
  readonly text: string;
}

/** The configuration cannot be used. `message` has a line for each problem: file, line, column, key path, what is allowed. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly Problem[];

  constructor(file: string, problems: readonly Problem[]) {
    super(problems.map((problem) => sentence(file, problem)).join('\n'));
    this.problems = problems;
  }
}

/** `file:line:column: path: text`, as compilers say it. */
function sentence(file: string, { path, text, line, column, variables = [] }: Problem): string {
  const place = line === undefined ? file : `${file}:${line}:${column}`;
  const origin = variables.length === 0 ? '' : ` (the value comes from ${variables.join(' and ')} in the environment)`;
  return `${place}: ${path === '' ? '' : `${path}: `}${text}${origin}`;
}
