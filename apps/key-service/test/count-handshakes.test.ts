// Handshakes at the key service's port, as a metric: with a certificate of its CA, with another's, with none, with an old TLS, with none at all.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { test } from 'node:test';
import { type ConnectionOptions, connect, createServer } from 'node:tls';
import type { Telemetry } from '@sealpost/service';
import { makeTlsFiles, temporaryDirectory } from '@sealpost/testkit';
import { countHandshakes } from '../src/count-handshakes.ts';

test('each handshake counts once, by version or by why it failed', async () => {
  await using directory = await temporaryDirectory();
  const own = await makeTlsFiles(directory.path, { prefix: 'own' });
  const other = await makeTlsFiles(directory.path, { prefix: 'other' });
  const { cert, key, ca } = own;
  const server = createServer({ cert, key, ca, minVersion: 'TLSv1.3', requestCert: true, rejectUnauthorized: true });
  const results: string[] = [];
  let told = Promise.withResolvers<void>();
  const count: Telemetry['count'] = (metric, ...[labels = {}]) => {
    results.push([metric, ...Object.values(labels)].join(' '));
    told.resolve();
  };
  countHandshakes(server, { count } as Telemetry);
  server.on('secureConnection', (socket) => socket.on('error', () => undefined));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const secure = (options: ConnectionOptions) => () =>
    connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });

  const cases = [
    [secure({ cert, key }), 'TLSv1.3'],
    [secure({ cert: other.cert, key: other.key }), 'certificate'],
    [secure({}), 'certificate'],
    [secure({ cert, key, maxVersion: 'TLSv1.2' }), 'protocol'],
    [() => connectTcp(port, '127.0.0.1', () => undefined).end('GET / HTTP/1.1\r\n\r\n'), 'protocol'],
    [() => connectTcp(port, '127.0.0.1').end(), 'cut'],
  ] as const;
  try {
    for (const [open] of cases) {
      told = Promise.withResolvers();
      const socket = open().on('error', () => undefined);
      await told.promise;
      socket.destroy();
    }
    assert.deepEqual(
      results,
      cases.map(([, result]) => `sealpost_tls_handshakes_total key-service ${result}`),
    );
  } finally {
    server.close();
    await once(server, 'close');
  }
});
