// The configuration reference, made from the schema: every key with its type, default and meaning, as Markdown. The page in
// docs/ is held against it by a test.

import * as z from 'zod';
import { installation } from './installation.ts';
import { inner, itemOf, type Schema, shapeOf } from './shape.ts';

interface Row {
  readonly key: string;
  readonly type: string;
  /** As written in the file; undefined where there is none. */
  readonly fallback: string | undefined;
  readonly isRequired: boolean;
  readonly meaning: string;
}

/** The shortest file that makes a gateway; a test reads it. */
export const minimalExample = `installation: mail.example.com
tenants:
  - id: example
    domains: [example.com]
ingress:
  outbound:
    sources:
      - name: mail-server
        tenant: example
        networks: [192.0.2.10/32]
        domains: [example.com]
  tls:
    certificateFile: /etc/sealpost/tls.crt
    keyFile: /etc/sealpost/tls.key
egress:
  routes:
    - name: internal
      direction: inbound
      nextHop: {host: mail-server.example.com, port: 25}
    - name: world
      direction: outbound
      nextHop: {host: smart-host.example.com, port: 25}
`;

/** The whole page. */
export function renderReference(): string {
  const sections = Object.entries(installation.shape);
  const single = sections.filter(([, schema]) => !shapeOf(schema) && !itemOf(schema));
  const others = sections.filter((section) => !single.includes(section));
  return [
    '# Configuration',
    '',
    'One YAML file (YAML 1.2) holds the configuration of an installation; every process reads the same one with',
    '`--config FILE`. `sealpost config check FILE` tells what is wrong with it: unknown keys, wrong values and contradictions,',
    'each as `FILE:LINE:COLUMN: KEY: what is allowed`, with the variables that a value comes from; it ends with 0 for a sound file, 1',
    'for another, and prints one JSON value with `--json`. Anchors and aliases are not allowed. Secrets are never in this file: keys',
    'that end in `File` name the file that holds them. Paths are absolute.',
    '',
    'Values may name variables of the environment, for containers: `${NAME}`, which must be set, or `${NAME:-fallback}`, which',
    'counts when it is not set or empty; `$${` is a plain `${`. A value that becomes a number or `true`/`false` counts as one',
    'unless it is quoted, as it must be inside `[…]` and `{…}`. Variables change values, never keys. `SEALPOST_CONFIG` names',
    'the file where `--config` does not.',
    '',
    'The shortest file that makes a gateway:',
    '',
    `\`\`\`yaml\n${minimalExample}\`\`\``,
    '',
    'This page is made from the schema by `sealpost config reference`. `[]` stands for each item of a list.',
    '',
    ...table(single.flatMap(([key, schema]) => rowsOf(key, schema))),
    ...others.flatMap(([key, schema]) => ['', `## ${key}`, '', ...table(rowsOf(key, schema))]),
    '',
  ].join('\n');
}

function table(rows: readonly Row[]): string[] {
  return [
    '| key | type | default | meaning |',
    '|---|---|---|---|',
    ...rows.map(
      ({ key, type, fallback, isRequired, meaning }) =>
        `| \`${key}\` | ${cell(type)} | ${isRequired ? 'required' : fallback === undefined ? '' : `\`${cell(fallback)}\``} | ${cell(meaning)} |`,
    ),
  ];
}

/** A key and all below it. A section that says nothing itself has no row of its own. */
function rowsOf(key: string, schema: Schema): Row[] {
  const item = itemOf(schema);
  const shape = shapeOf(schema);
  const below = shape
    ? Object.entries(shape).flatMap(([name, field]) => rowsOf(`${key}.${name}`, field))
    : item && shapeOf(item)
      ? rowsOf(`${key}[]`, item)
      : [];
  const meaning = meaningOf(schema);
  if (shape && meaning === '') return below;
  const fallback = defaultOf(schema);
  return [{ key, type: typeOf(schema), fallback, isRequired: !isOptional(schema), meaning }, ...below];
}

function typeOf(schema: Schema): string {
  const title = metaOf(schema, 'title');
  if (title !== undefined) return title;
  const { def } = inner(schema)._zod as z.core.$ZodTypes['_zod'];
  switch (def.type) {
    case 'object':
      return 'section';
    case 'array':
      return shapeOf(def.element) ? 'list of sections' : `list: ${typeOf(def.element)}`;
    case 'record':
      return `section with any keys, each a ${typeOf(def.valueType)}`;
    case 'enum':
      return Object.values(def.entries)
        .map((word) => `\`${word}\``)
        .join(', ');
    case 'literal':
      return def.values.map((word) => `\`${word}\``).join(', ');
    case 'union':
      return [...new Set(def.options.map(typeOf))].join(' or ');
    case 'boolean':
      return '`true`, `false`';
    case 'string':
      return ('format' in def && formats[String(def.format)]) || 'text';
    default: {
      const plain = inner(schema);
      return plain instanceof z.ZodNumber ? numberRange(plain) : def.type;
    }
  }
}

function numberRange(number: z.ZodNumber): string {
  const { minValue, maxValue, isInt } = number;
  const kind = isInt ? 'whole number' : 'number';
  if (minValue === null || minValue <= Number.MIN_SAFE_INTEGER) return kind;
  const isBounded = maxValue !== null && maxValue < Number.MAX_SAFE_INTEGER;
  return isBounded ? `${kind}, ${minValue} to ${maxValue}` : `${kind}, ${minValue} or more`;
}

const formats: Readonly<Record<string, string>> = { cidrv4: 'IPv4 network', cidrv6: 'IPv6 network', url: 'URL' };

/** Description or title at the schema or anywhere it wraps. */
function metaOf(schema: Schema, field: 'title' | 'description'): string | undefined {
  const own = z.globalRegistry.get(schema)?.[field];
  if (own !== undefined) return own;
  const { def } = schema._zod as z.core.$ZodTypes['_zod'];
  if ('innerType' in def) return metaOf(def.innerType, field);
  return def.type === 'pipe' ? metaOf(def.in, field) : undefined;
}

function meaningOf(schema: Schema): string {
  return metaOf(schema, 'description') ?? '';
}

function defaultOf(schema: Schema): string | undefined {
  const { def } = schema._zod as z.core.$ZodTypes['_zod'];
  if (def.type !== 'default') return undefined;
  const { defaultValue } = def;
  return typeof defaultValue === 'string' && defaultValue !== '' ? defaultValue : JSON.stringify(defaultValue);
}

function isOptional(schema: Schema): boolean {
  return schema._zod.optin !== undefined;
}

/** Pipes would end the cell. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
