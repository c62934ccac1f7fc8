// TLS from encrypted key files, and what is said of files that cannot be used.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { connect, createServer } from 'node:tls';
import { SetupError } from '@sealpost/core';
import { makeTlsFiles, temporaryDirectory } from '@sealpost/testkit';
import { readAuthorities, readIdentity, readSecret } from '../src/index.ts';

const directory = await temporaryDirectory();
after(() => directory.remove());
const encrypted = await makeTlsFiles(directory.path, { passphrase: 'correct horse', prefix: 'encrypted' });
const plain = await makeTlsFiles(directory.path, { prefix: 'plain' });

async function protocolWith(files: Parameters<typeof readIdentity>[0], version: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3') {
  const server = createServer(readIdentity(files)).listen(0, '127.0.0.1');
  server.on('tlsClientError', () => undefined);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  // Without SECLEVEL=0 the client itself would refuse to speak 1.1, and the server's refusal would not be tested.
  const options = { port, host: '127.0.0.1', ca: readAuthorities(encrypted.caFile), servername: 'localhost' };
  const socket = connect({ ...options, minVersion: version, maxVersion: version, ciphers: 'DEFAULT:@SECLEVEL=0' });
  try {
    await once(socket, 'secureConnect');
    return socket.getProtocol();
  } finally {
    socket.destroy();
    server.close();
  }
}

test('an encrypted key serves TLS 1.2 and 1.3 and nothing older', async () => {
  assert.equal(await protocolWith(encrypted, 'TLSv1.2'), 'TLSv1.2');
  assert.equal(await protocolWith(encrypted, 'TLSv1.3'), 'TLSv1.3');
  await assert.rejects(protocolWith(encrypted, 'TLSv1.1'), /alert protocol version/);
});

test('a passphrase loses the line end of its file and nothing else', async () => {
  const file = join(directory.path, 'secret');
  for (const [content, secret] of [
    ['a b \n', 'a b '],
    ['a\r\n', 'a'],
    ['a\n\n', 'a\n'],
  ] as const) {
    await writeFile(file, content);
    assert.equal(readSecret(file), secret);
  }
});

test('files that cannot be used are told by name and reason, without what they hold', async () => {
  const wrong = join(directory.path, 'wrong-passphrase');
  const garbage = join(directory.path, 'garbage.pem');
  await writeFile(wrong, 'incorrect horse');
  await writeFile(garbage, 'hunter2');
  const { certificateFile, keyFile, passphraseFile } = encrypted;
  for (const [read, sentence] of [
    [
      () => readIdentity({ certificateFile, keyFile, passphraseFile: wrong }),
      /encrypted-key does not hold a private key/,
    ],
    [() => readIdentity({ certificateFile, keyFile }), /encrypted-key does not hold a private key/],
    [
      () => readIdentity({ certificateFile: plain.certificateFile, keyFile, passphraseFile }),
      /is not the key of .*plain-crt/,
    ],
    [
      () => readIdentity({ certificateFile: garbage, keyFile, passphraseFile }),
      /garbage\.pem does not hold a certificate/,
    ],
    [() => readAuthorities(garbage), /garbage\.pem does not hold a certificate/],
    [() => readAuthorities(join(directory.path, 'none')), /none cannot be read/],
    [() => readSecret('/dev/null'), /\/dev\/null is empty/],
  ] as const) {
    assert.throws(
      read,
      (error) => error instanceof SetupError && sentence.test(error.message) && !/hunter2|horse/.test(error.message),
    );
  }
});
