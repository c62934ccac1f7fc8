// Reads the one YAML file of an installation: parsed once, checked wholly, frozen. The file is the operator's own, but a file
// that grew wrong must end in a sentence and not in a hung or half-configured process.

import { closeSync, openSync, readSync } from 'node:fs';
import { ConfigError, type Problem } from './config-error.ts';
import type { Environment } from './environment.ts';
import { crossCheck, type Installation, installation } from './installation.ts';
import { type Finding, findingsOf, formatPath } from './problems.ts';
import { readYaml, YamlFault, type YamlText } from './read-yaml.ts';

/** A large installation's file is some ten thousand lines; more is not a configuration. */
const maxFileBytes = 4 * 1024 * 1024;

/** Reads and checks the file, its variables from the environment. Throws ConfigError. */
export function loadConfig(file: string, environment: Environment = process.env): Installation {
  return parseConfig(readFile(file), file, environment);
}

/** Checks the text of a configuration file; `file` is its name for error messages. Throws ConfigError. */
export function parseConfig(text: string, file: string, environment: Environment = {}): Installation {
  const yaml = yamlOf(text, file, environment);
  const parsed = installation.safeParse(yaml.value, { reportInput: true });
  const findings = parsed.success ? crossCheck(parsed.data) : findingsOf(installation, parsed.error.issues);
  if (!parsed.success || findings.length > 0) {
    const problems = findings.map((finding) => placed(finding, yaml));
    throw new ConfigError(
      file,
      problems.sort((a, b) => (a.line ?? 0) - (b.line ?? 0)),
    );
  }
  return freeze(parsed.data);
}

function yamlOf(text: string, file: string, environment: Environment): YamlText {
  try {
    return readYaml(text, environment);
  } catch (error) {
    if (!(error instanceof YamlFault)) throw error;
    throw new ConfigError(file, [{ path: '', text: error.message, ...error.place }]);
  }
}

function placed({ at, text, aboutKey }: Finding, yaml: YamlText): Problem {
  return { path: formatPath(at), text, ...yaml.placeOf(at, aboutKey) };
}

/** No more than a configuration can have, also from what has no size or no end, such as a pipe or a device. */
function readFile(file: string): string {
  const problem = (text: string) => new ConfigError(file, [{ path: '', text }]);
  const bytes = Buffer.alloc(maxFileBytes + 1);
  let length = 0;
  try {
    const descriptor = openSync(file, 'r');
    try {
      for (let read = -1; read !== 0 && length < bytes.length; length += read)
        read = readSync(descriptor, bytes, length, bytes.length - length, null);
    } finally {
      closeSync(descriptor);
    }
  } catch {
    throw problem('cannot be read');
  }
  if (length > maxFileBytes) throw problem('is larger than 4 MiB');
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length));
  } catch {
    throw problem('is not text in UTF-8');
  }
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const item of Object.values(value)) freeze(item);
  return value;
}
