import assert from 'node:assert/strict';
import { test } from 'node:test';
import { minimalExample, parseConfig } from '@sealpost/service';

const withRoute = (lines: string) =>
  minimalExample.replace('      nextHop: {host: smart-host.example.com, port: 25}\n', (line) => line + lines);

test('a route has defaults that are safe', () => {
  const [route] = parseConfig(minimalExample, 'test').egress.routes;
  assert.equal(route?.tls, 'required');
  assert.equal(route?.connections, 10);
  assert.equal(route?.recipientsPerTransaction, 100);
});

test('a password never travels in clear, and files for verifying belong to verified TLS', () => {
  const login = '      authentication: {userFile: /run/user, passwordFile: /run/password}\n';
  for (const [lines, expected] of [
    [`      tls: opportunistic\n${login}`, /egress\.routes\[1\]\.tls/],
    [`      tls: 'off'\n${login}`, /egress\.routes\[1\]\.tls/],
    ['      caFile: /etc/ca.pem\n', /egress\.routes\[1\]\.tls/],
    ['      serverName: mx.example.com\n', /egress\.routes\[1\]\.tls/],
    ['      conections: 4\n', /connections/],
  ] as const) {
    assert.throws(() => parseConfig(withRoute(lines), 'test'), expected);
  }
  parseConfig(
    withRoute(`      tls: verified\n      caFile: /etc/ca.pem\n      serverName: mx.example.com\n${login}`),
    'test',
  );
});
