// A PKCS#12 file as a person exports it becomes an identity with its key, and only with its password.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { KeyFault } from '@sealpost/service';
import { issueCertificate } from '@sealpost/smime';
import { temporaryDirectory } from '@sealpost/testkit';
import { runKeyService } from './running-key-service.ts';

const isFault = (code: string) => (error: unknown) => error instanceof KeyFault && error.code === code;

async function exported(address: string, password: string): Promise<Buffer> {
  await using temporary = await temporaryDirectory();
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const certificate = issueCertificate({
    subject: { commonName: 'Carol' },
    addresses: [address],
    publicKey,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 86_400_000),
    profile: 'smime',
    issuer: { certificate: 'self', privateKey },
  });
  const key = privateKey.export({ format: 'pem', type: 'pkcs8' });
  writeFileSync(join(temporary.path, 'both.pem'), `${key}${certificate.pem}`);
  const args = ['pkcs12', '-export', '-in', 'both.pem', '-out', 'carol.p12', '-passout', `pass:${password}`];
  const run = spawnSync('openssl', args, { cwd: temporary.path });
  assert.equal(run.status, 0, run.stderr.toString());
  return readFileSync(join(temporary.path, 'carol.p12'));
}

test('a PKCS#12 file is imported with its key, under its password only', async () => {
  await using service = await runKeyService();
  const operator = service.call('operator');
  const file = await exported('carol@alpha.test', 'secret');
  await assert.rejects(operator.call('import', { file, password: 'wrong' }), isFault('import-password-wrong'));
  await assert.rejects(operator.call('import', { file }), isFault('import-password-wrong'));
  const damaged = file.subarray(0, file.length - 9);
  await assert.rejects(operator.call('import', { file: damaged, password: 'secret' }), isFault('import-unreadable'));
  const { imported } = await operator.call('import', { file, password: 'secret' });
  assert.deepEqual(
    imported.map(({ address }) => address),
    ['carol@alpha.test'],
  );
  assert.equal(imported[0]?.certificates.length, 2, 'one key version to sign and one to decrypt');
});
