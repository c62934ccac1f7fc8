// Variables of the environment in the configuration file: they become values of the right kind, never structure, and a missing one
// is told by name and line.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '@sealpost/testkit';
import { ConfigError, minimalExample, parseConfig } from '../src/index.ts';

const parse = (more: string, environment: Readonly<Record<string, string>>) =>
  parseConfig(`${minimalExample}${more}`, 'test.yaml', environment);

function problemOf(more: string, environment: Readonly<Record<string, string>> = {}): string {
  try {
    parse(more, environment);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.message;
  }
  throw new assert.AssertionError({ message: 'no problem was found' });
}

test('variables become values of the kind that they look like, unless quoted', () => {
  const { redis, log, telemetry } = parse(
    [
      'redis:\n  host: redis.${ZONE}.test\n  port: ${PORT}\n  username: "${PORT}"',
      'log:\n  addresses: ${OPEN}',
      'telemetry:\n  sampleRatio: ${RATIO}',
    ].join('\n'),
    { ZONE: 'a', PORT: '6380', OPEN: 'true', RATIO: '0.25' },
  );
  assert.deepEqual([redis.host, redis.port, redis.username], ['redis.a.test', 6380, '6380']);
  assert.equal(log.addresses, true);
  assert.equal(telemetry.sampleRatio, 0.25);
});

test('a fallback counts when the variable is not set or empty', () => {
  const port = (environment: Readonly<Record<string, string>>) =>
    parse('redis:\n  port: ${PORT:-6390}\n', environment).redis.port;
  assert.deepEqual([port({}), port({ PORT: '' }), port({ PORT: '7000' })], [6390, 6390, 7000]);
});

test('a missing variable is told with its line, and a value never', () => {
  assert.match(
    problemOf('redis:\n  host: ${NOWHERE}\n'),
    /test\.yaml:24:9: the environment variable NOWHERE is not set/,
  );
  const said = problemOf('redis:\n  port: ${PORT}\n', { PORT: 'hunter2' });
  assert.match(said, /:24:9: redis\.port: must be a whole number \(the value comes from PORT in the environment\)$/);
  assert.ok(!said.includes('hunter2'));
});

test('what is no variable is refused, and two dollars make one', () => {
  for (const wrong of ['${', '${lower}', '${A-b}', '${A:-${B}}', '${constructor}'])
    assert.match(problemOf(`redis: {username: '${wrong}'}\n`), /must begin a variable|is not set/, wrong);
  assert.equal(parse("redis: {username: 'a$${B}'}\n", {}).redis.username, 'a${B}');
});

test('a variable cannot bring structure, keys or inherited names', () => {
  const injected = 'x}\nlog: {level: debug}\n#';
  const config = parse('redis:\n  username: ${EVIL}\n', { EVIL: injected });
  assert.equal(config.redis.username, injected);
  assert.equal(config.log.level, 'info');
  assert.match(problemOf('"${KEY}": {}\n', { KEY: 'redis' }), /unknown key/);
  assert.match(problemOf('redis:\n  username: ${__PROTO__}\n'), /__PROTO__ is not set/);
});

test('a process finds its file by SEALPOST_CONFIG', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'sealpost.yaml');
  await writeFile(file, minimalExample.replace('mail.example.com', '${NAME}'));
  const check = (env: Readonly<Record<string, string>>) =>
    spawnSync(process.execPath, [join(import.meta.dirname, 'process.ts'), '--check-config'], { env, encoding: 'utf8' });
  assert.equal(check({ SEALPOST_CONFIG: file, NAME: 'mail.example.net' }).status, 0);
  const unset = check({ SEALPOST_CONFIG: file });
  assert.equal(unset.status, 78);
  assert.match(unset.stderr, /NAME is not set/);
  assert.equal(check({}).status, 64);
});
