// Reads the one YAML file of an installation: parsed once, checked wholly, frozen. The file is the operator's own, but a file
// that grew wrong must end in a sentence and not in a hung or half-configured process.

import { readFileSync, statSync } from 'node:fs';
import { isAlias, isScalar, LineCounter, parseDocument, visit } from 'yaml';
import { type Environment, fillIn } from './environment.ts';
import { crossCheck, type Installation, installation, type Problem } from './installation.ts';
import { problemsOf } from './problems.ts';

/** A large installation's file is some ten thousand lines; more is not a configuration. */
const maxFileBytes = 4 * 1024 * 1024;

/** The configuration cannot be used. `message` names the file and every problem with its key path. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly Problem[];

  constructor(file: string, problems: readonly Problem[]) {
    super(`${file}:\n${problems.map(({ path, text }) => (path ? `  ${path}: ${text}` : `  ${text}`)).join('\n')}`);
    this.problems = problems;
  }
}

/** Reads and checks the file, its variables from the environment. Throws ConfigError. */
export function loadConfig(file: string, environment: Environment = process.env): Installation {
  return parseConfig(readFile(file), file, environment);
}

/** Checks the text of a configuration file; `file` is its name for error messages. Throws ConfigError. */
export function parseConfig(text: string, file: string, environment: Environment = {}): Installation {
  const parsed = installation.safeParse(readYaml(text, file, environment), { reportInput: true });
  if (!parsed.success) throw new ConfigError(file, problemsOf(installation, parsed.error.issues));
  const problems = crossCheck(parsed.data);
  if (problems.length > 0) throw new ConfigError(file, problems);
  return freeze(parsed.data);
}

function readFile(file: string): string {
  try {
    if (statSync(file).size > maxFileBytes) throw new ConfigError(file, [{ path: '', text: 'is larger than 4 MiB' }]);
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(file, [{ path: '', text: 'cannot be read' }]);
  }
}

function readYaml(text: string, file: string, environment: Environment): unknown {
  const problem = (sentence: string) => new ConfigError(file, [{ path: '', text: sentence }]);
  const lines = new LineCounter();
  try {
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
    // A warning is a tag that the reader does not know: what it would become is anybody's guess.
    const [wrong] = [...document.errors, ...document.warnings];
    if (wrong) throw problem(`line ${lines.linePos(wrong.pos[0]).line}: ${wrong.message}`);
    visit(document, {
      Node(_, node) {
        // Aliases repeat what they name: nine lines of them make a billion items.
        if (isAlias(node)) throw problem('anchors and aliases are not allowed');
      },
      Scalar(at, node) {
        if (at === 'key' || typeof node.value !== 'string') return;
        const filled = fillIn(node.value, node.type !== 'PLAIN', environment);
        if ('problem' in filled) throw problem(`line ${lines.linePos(node.range?.[0] ?? 0).line}: ${filled.problem}`);
        node.value = filled.value;
      },
      Pair(_, { key }) {
        if (!isScalar(key)) throw problem('a key must be a plain text');
        if (key.value === '__proto__') throw problem('the key "__proto__" is not allowed');
      },
    });
    return document.toJS({ maxAliasCount: 0 });
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw problem('is not YAML that can be read');
  }
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const item of Object.values(value)) freeze(item);
  return value;
}
