// `${NAME}` and `${NAME:-fallback}` in the values of the configuration file stand for variables of the environment: one file for
// all containers, what differs between installations beside it. Done after the YAML was read, so a variable can change a value and
// never the structure.

/** Variables by name, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The variable that names the configuration file where no option does. */
export const configFileVariable = 'SEALPOST_CONFIG';

/** `$${` is a plain `${`; the second form finds what was meant as a variable and is none. */
const reference = /\$\$\{|\$\{([A-Z_][A-Z0-9_]*)(:-([^{}]*))?\}|\$\{/g;

export type Filled =
  | { readonly value: string | number | boolean /** Named in it. */; readonly variables: readonly string[] }
  | { readonly problem: string };

/**
 * The text with its variables filled in. An unquoted value that is then a number or true/false counts as one, as it would if it stood
 * in the file. A problem names the variable and never its value.
 */
export function fillIn(text: string, isQuoted: boolean, environment: Environment): Filled {
  let problem: string | undefined;
  const variables: string[] = [];
  const value = text.replace(reference, (whole, name?: string, fallbackPart?: string, fallback = '') => {
    if (whole === '$${') return '${';
    if (name === undefined) {
      problem ??= '"${" must begin a variable such as ${NAME} or ${NAME:-fallback}; "$${" is a plain "${"';
      return '';
    }
    variables.push(name);
    const found = Object.hasOwn(environment, name) ? environment[name] : undefined;
    if (fallbackPart !== undefined) return found || fallback;
    if (found === undefined) problem ??= `the environment variable ${name} is not set`;
    return found ?? '';
  });
  if (problem !== undefined) return { problem };
  return { value: isQuoted || value === text ? value : asWritten(value), variables };
}

function asWritten(value: string): string | number | boolean {
  if (value === 'true' || value === 'false') return value === 'true';
  return /^-?(0|[1-9][0-9]{0,15})(\.[0-9]+)?$/.test(value) ? Number(value) : value;
}
