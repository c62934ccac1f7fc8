// The configuration file: what is wrong with it is told with key path and what is allowed, and no file, however hostile, does
// anything else.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '@sealpost/testkit';
import fc from 'fast-check';
import { parseDocument } from 'yaml';
import {
  ConfigError,
  type Installation,
  loadConfig,
  minimalExample,
  parseConfig,
  renderReference,
} from '../src/index.ts';

/** What parsing says about the minimal file with some keys set otherwise; `a.b.0` is a path. */
function problemsWith(changes: Readonly<Record<string, unknown>>): string[] {
  const document = parseDocument(minimalExample);
  for (const [path, value] of Object.entries(changes)) document.setIn(path.split('.'), value);
  return problemsOf(String(document));
}

function problemsOf(text: string): string[] {
  return errorOf(text).problems.map(({ path, text: sentence }) => `${path}: ${sentence}`);
}

function errorOf(text: string): ConfigError {
  try {
    parseConfig(text, 'test.yaml');
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error;
  }
  throw new assert.AssertionError({ message: 'no problem was found' });
}

test('the minimal file is enough, and what it leaves out has its default', () => {
  const config = parseConfig(minimalExample, 'test.yaml');
  assert.equal(config.queue.maxAgeHours, 120);
  assert.equal(config.redis.port, 6379);
  assert.equal(config.tenants[0]?.policy.inbound.clearSigned, 'keep');
  assert.equal(config.http.worker.port, 9102);
});

test('the configuration is frozen all the way down', () => {
  const config: Installation = parseConfig(minimalExample, 'test.yaml');
  const isFrozen = (value: unknown): boolean =>
    typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(isFrozen));
  assert.ok(isFrozen(config));
});

test('an unknown key is told with its path and the key that was meant', () => {
  assert.deepEqual(problemsWith({ 'egress.routes.0.tsl': 'off' }), [
    'egress.routes[0].tsl: unknown key; did you mean "tls"?',
  ]);
  assert.deepEqual(problemsWith({ 'redis.prot': 1 }), ['redis.prot: unknown key; did you mean "port"?']);
  assert.deepEqual(problemsWith({ 'tenants.0.policy.outbound.withoutCertficate': 'plain' }), [
    'tenants[0].policy.outbound.withoutCertficate: unknown key; did you mean "withoutCertificate"?',
  ]);
});

test('an unknown key that looks like none is told with those that are known', () => {
  assert.deepEqual(problemsWith({ 'telemetry.colour': 'blue' }), [
    'telemetry.colour: unknown key; known here: otlpUrl, sampleRatio',
  ]);
});

test('wrong values and types are told with what is allowed', () => {
  assert.deepEqual(problemsWith({ 'redis.port': 70_000 }), ['redis.port: must be at most 65535']);
  assert.deepEqual(problemsWith({ 'redis.port': '6379' }), ['redis.port: must be a whole number']);
  assert.deepEqual(problemsWith({ 'log.level': 'loud' }), ['log.level: must be one of debug, info, warn, error']);
  assert.deepEqual(problemsWith({ 'log.addresses': 'yes' }), ['log.addresses: must be true or false']);
  assert.deepEqual(problemsWith({ egress: [] }), ['egress: must be a section with keys']);
  assert.deepEqual(problemsWith({ tenants: 'all' }), ['tenants: must be a list']);
  assert.deepEqual(problemsWith({ 'blobs.directory': 'blobs' }), ['blobs.directory: must be an absolute path']);
  assert.deepEqual(problemsWith({ 'telemetry.sampleRatio': Number.NaN }), ['telemetry.sampleRatio: must be a number']);
  assert.deepEqual(problemsWith({ 'tenants.0.domains': [] }), ['tenants[0].domains: must have at least 1 items']);
});

test('a missing key is told as missing', () => {
  assert.deepEqual(problemsOf('tenants: [{id: a, domains: [a.test]}]\n').slice(0, 1), [
    'installation: is missing; must be a text',
  ]);
  assert.deepEqual(problemsWith({ 'egress.routes.0.nextHop': { host: 'x.test' } }), [
    'egress.routes[0].nextHop.port: is missing; must be a whole number',
  ]);
});

test('contradictions between sections are told', () => {
  const tenant = { id: 'example', domains: ['EXAMPLE.com'] };
  assert.deepEqual(problemsWith({ 'tenants.1': tenant }), [
    'tenants[1].id: is used twice; it must be unique',
    'tenants[1].domains[0]: is used twice; it must be unique',
  ]);
  assert.deepEqual(problemsWith({ 'ingress.outbound.sources.0.tenant': 'nobody' }), [
    'ingress.outbound.sources[0].tenant: must be one of the tenants: example',
  ]);
  assert.deepEqual(problemsWith({ 'ingress.outbound.sources.0.domains': ['example.com', 'other.test'] }), [
    'ingress.outbound.sources[0].domains[1]: must be a domain of its tenant',
  ]);
});

test('a tenant cannot take the name under which the key service keeps its own', () => {
  assert.ok(
    problemsWith({ 'tenants.0.id': 'installation' }).includes(
      'tenants[0].id: must not be "installation", which is reserved',
    ),
  );
});

test('a value is never repeated: it could be a secret in the wrong place', () => {
  const secret = 'hunter2-hunter2';
  for (const path of ['redis.port', 'redis.host', 'redis.passwordFile', 'log.level', 'egress', 'keyService.url']) {
    const text = parseDocument(minimalExample);
    text.setIn(path.split('.'), `${secret} \t/`);
    assert.ok(!errorOf(String(text)).message.includes(secret), path);
  }
});

test('the message names file, line, column and every problem at once', () => {
  const { message } = errorOf(`${minimalExample}redsi: {}\nlog: {level: loud}\n`);
  assert.deepEqual(message.split('\n'), [
    'test.yaml:23:1: redsi: unknown key; did you mean "redis"?',
    'test.yaml:24:14: log.level: must be one of debug, info, warn, error',
  ]);
});

test('hostile YAML ends in a sentence', () => {
  const bomb = ['a0: &a0 [x]', ...Array.from({ length: 30 }, (_, at) => `a${at + 1}: &a${at + 1} [*a${at}, *a${at}]`)];
  const started = performance.now();
  for (const [text, sentence] of [
    [bomb.join('\n'), /anchors and aliases are not allowed/],
    [`a: ${'{a: '.repeat(5_000)}`, /./],
    ['log: {level: info, level: warn}', /:1:20: Map keys must be unique/],
    ['log: {}\nlog: {}', /:2:1: Map keys must be unique/],
    ['log:\n\tlevel: info', /:2:1: Tabs are not allowed as indentation/],
    ['log:\n  level: info\n addresses: true', /:3:/],
    ['log: {level: info', /:1:/],
    ['__proto__: {polluted: true}', /"__proto__" is not allowed/],
    ['ingress: {outbound: {sources: [{tenantHeader: {tenants: {__proto__: a}}}]}}', /"__proto__" is not allowed/],
    ['constructor: {prototype: {polluted: true}}', /constructor: unknown key/],
    ['installation: !!js/function "x"', /:1:15: Unresolved tag/],
    ['installation: !secret x', /:1:15: Unresolved tag/],
    ['a: 1\n---\nb: 2', /multiple documents/],
    ['a: [', /:1:/],
    ['log: {}\nredis: \u0000\u0001', /:2:8: a control character: this is not a text file/],
    ['redis: {host: "\ud800"}', /:1:16: a control character/],
    ['- 1', /must be a section with keys/],
    ['', /must be a section with keys/],
    ['"installation"', /must be a section with keys/],
    [`${'['.repeat(200_000)}`, /./],
    ['? {a: b}\n: c\n', /a key must be a plain text/],
  ] as const) {
    assert.match(errorOf(text).message, sentence, text.slice(0, 60));
  }
  assert.ok(performance.now() - started < 5_000);
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
});

test('a problem stands where its key or value does; what is missing, at the section that lacks it', () => {
  const places = (text: string) => errorOf(text).problems.map(({ path, line, column }) => `${path} ${line}:${column}`);
  assert.deepEqual(
    places(
      `${minimalExample}redis:\n  prot: 1\n  port: none\nblobs: {directory: x}\nlog: {level: {}}\nhttp:\n  - 1\nqueue:\n`,
    ),
    ['redis.prot 24:3', 'redis.port 25:9', 'blobs.directory 26:20', 'log.level 27:7', 'http 28:1', 'queue 30:1'],
  );
  assert.deepEqual(places(minimalExample.replace(', port: 25}', '}')), ['egress.routes[0].nextHop.port 19:7']);
  assert.deepEqual(places(minimalExample.replace('tenant: example', 'tenant: nobody')), [
    'ingress.outbound.sources[0].tenant 9:17',
  ]);
  assert.deepEqual(places('log: {}\n').at(0), 'installation 1:1');
});

test('whatever is put into a setting, the answer says what is allowed', () => {
  const settings = renderReference().match(/(?<=^\| `)[^`]+(?=`)/gm) ?? [];
  assert.ok(settings.length > 80);
  const unsaid = /^(is missing; )?(Invalid|Too |Expected|Unrecognized|is of the wrong type)/;
  for (const setting of settings) {
    const path = setting.replaceAll('[]', '.0').split('.');
    for (const value of ['hunter2 \t', '', -1, 1.5, 1e300, true, null, [], [[]], {}, { other: {} }]) {
      const config: unknown = parseDocument(minimalExample).toJS();
      put(config, path, value);
      // Some settings take one of these.
      for (const problem of problemsOrNone(JSON.stringify(config))) {
        assert.doesNotMatch(problem.text, unsaid, `${setting}: ${problem.text}`);
        assert.equal(problem.line, 1);
      }
    }
  }
});

function problemsOrNone(text: string): ConfigError['problems'] {
  try {
    parseConfig(text, 'test.yaml');
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    assert.doesNotMatch(error.message, /hunter2/);
    return error.problems;
  }
}

/** Sections and lists on the way are made where they are missing. */
function put(parent: unknown, [key = '', ...rest]: readonly string[], value: unknown): void {
  if (key === '' || typeof parent !== 'object' || parent === null) return;
  const fields = parent as Record<string, unknown>;
  if (rest.length > 0) fields[key] ??= rest[0] === '0' ? [] : {};
  else fields[key] = value;
  put(fields[key], rest, value);
}

test('any text gives a configuration or a ConfigError, nothing else', () => {
  const lines = fc.array(fc.oneof(fc.string(), fc.constantFrom(...minimalExample.split('\n'))), { maxLength: 12 });
  fc.assert(
    fc.property(lines, (chosen) => {
      try {
        parseConfig(chosen.join('\n'), 'test.yaml');
      } catch (error) {
        assert.ok(error instanceof ConfigError);
      }
    }),
    { numRuns: 300 },
  );
});

test('a file that is missing, no file, too large or in another encoding is told by name', async () => {
  await using directory = await temporaryDirectory();
  const large = join(directory.path, 'large.yaml');
  await writeFile(large, Buffer.alloc(5 * 1024 * 1024, '#'));
  const wide = join(directory.path, 'wide.yaml');
  await writeFile(wide, Buffer.from(`\ufeff${minimalExample}`, 'utf16le'));
  for (const [file, sentence] of [
    [join(directory.path, 'none.yaml'), /none\.yaml: cannot be read/],
    [directory.path, /cannot be read/],
    [large, /large\.yaml: is larger than 4 MiB/],
    ['/dev/zero', /zero: is larger than 4 MiB/],
    [process.execPath, /is larger than 4 MiB/],
    [wide, /wide\.yaml: is not text in UTF-8/],
  ] as const) {
    assert.throws(
      () => loadConfig(file),
      (error) => error instanceof ConfigError && sentence.test(error.message),
    );
  }
});
