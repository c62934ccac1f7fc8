// Identities, imports and trust: certificates that OpenSSL agrees with, and nothing stored that does not belong together.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type KeyId, tenantId } from '@sealpost/core';
import { type KeyConnection, KeyFault, type KeyRequestInput } from '@sealpost/service';
import { parseCertificate } from '@sealpost/smime';
import { type RunningKeyService, runKeyService, ticketFor } from './running-key-service.ts';

let service: RunningKeyService;
let operator: KeyConnection;
let directory: string;

const isFault = (code: string) => (error: unknown) => error instanceof KeyFault && error.code === code;

before(async () => {
  service = await runKeyService();
  operator = service.call('operator');
  directory = join(service.directory, 'made');
  mkdirSync(directory);
});

after(() => service[Symbol.asyncDispose]());

function openssl(...args: readonly string[]): string {
  return execFileSync('openssl', args, { encoding: 'utf8', cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] });
}

function pem(der: Buffer): string {
  return `-----BEGIN CERTIFICATE-----\n${(der.toString('base64').match(/.{1,64}/g) ?? []).join('\n')}\n-----END CERTIFICATE-----\n`;
}

/** Whether OpenSSL takes the certificate for the purpose under the tenant's own CA. */
async function accepts(tenant: string, certificate: Buffer, purpose: string): Promise<boolean> {
  const { certificates } = await operator.call('trust-anchors', { tenant });
  writeFileSync(join(directory, 'ca.pem'), pem(certificates[0] ?? Buffer.alloc(0)));
  writeFileSync(join(directory, 'leaf.pem'), pem(certificate));
  try {
    return openssl('verify', '-x509_strict', '-purpose', purpose, '-CAfile', 'ca.pem', 'leaf.pem').includes('OK');
  } catch {
    return false;
  }
}

/** A self-signed S/MIME certificate by OpenSSL. */
function selfSigned(
  name: string,
  address: string,
  extra: readonly string[] = [],
): { key: Buffer; certificate: Buffer } {
  openssl(
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30'],
    ...['-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.crt`],
    ...['-addext', `subjectAltName=email:${address}`, '-addext', 'basicConstraints=critical,CA:FALSE', ...extra],
  );
  return {
    key: readFileSync(join(directory, `${name}.key`)),
    certificate: readFileSync(join(directory, `${name}.crt`)),
  };
}

test('every kind of identity gets certificates for exactly its uses', async () => {
  const kinds: KeyRequestInput<'identity-add'>[] = [
    { address: 'Rsa@alpha.test' },
    { address: 'rsa3072@alpha.test', algorithm: 'rsa-3072', commonName: 'Rsa Three' },
    { address: 'p256@alpha.test', algorithm: 'p-256' },
  ];
  for (const kind of kinds) {
    const { certificates } = await operator.call('identity-add', kind);
    assert.deepEqual(certificates.map(({ use }) => use).sort(), ['decryption', 'signing']);
    const { records, identity } = await operator.call('identity-show', { address: kind.address });
    assert.equal(identity.address, kind.address.toLowerCase());
    for (const { certificate, keyId, chain, pinned } of records) {
      const signs = keyId?.includes('/signing/') ?? false;
      assert.equal(await accepts('alpha', certificate, 'smimesign'), signs, `${keyId} signs`);
      const { keyUsage } = parseCertificate(certificate);
      const usage = signs ? 'digitalSignature' : kind.algorithm === 'p-256' ? 'keyAgreement' : 'keyEncipherment';
      assert.deepEqual([...(keyUsage ?? [])], [usage]);
      // OpenSSL's purpose knows of key transport only; RFC 5753 has keyAgreement for elliptic curves.
      if (usage !== 'keyAgreement')
        assert.equal(await accepts('alpha', certificate, 'smimeencrypt'), !signs, `${keyId}`);
      assert.equal(await accepts('beta', certificate, 'any'), false);
      assert.deepEqual(parseCertificate(certificate).addresses, [kind.address.toLowerCase()]);
      assert.equal(chain.length, 1);
      assert.equal(pinned, false);
    }
  }
});

test('one certificate for both uses stands under both keys, which are the same', async () => {
  await operator.call('identity-add', { address: 'single@alpha.test', algorithm: 'p-256', single: true });
  const { records } = await operator.call('identity-show', { address: 'single@alpha.test' });
  assert.equal(records.length, 2);
  assert.equal(records[0]?.fingerprint, records[1]?.fingerprint);
  assert.deepEqual(new Set(records.map(({ keyId }) => keyId)).size, 2);
  const certificate = records[0]?.certificate ?? Buffer.alloc(0);
  assert.ok(await accepts('alpha', certificate, 'smimesign'));
  assert.deepEqual([...(parseCertificate(certificate).keyUsage ?? [])], ['digitalSignature', 'keyAgreement']);
});

test('an address gets its keys once, also when it is asked for twice at the same time', async () => {
  const add = () => operator.call('identity-add', { address: 'twice@alpha.test', algorithm: 'p-256' });
  const both = await Promise.allSettled([add(), add()]);
  assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  await assert.rejects(add(), isFault('exists'));
  const { identities } = await operator.call('identity-list', { tenant: 'alpha' });
  assert.equal(identities.filter(({ address }) => address === 'twice@alpha.test').length, 1);
});

test('addresses of foreign domains get no keys', async () => {
  for (const address of ['a@gamma.test', 'a@sub.alpha.test', 'a@alpha.test.evil.test', 'a@ALPHA.TEST@gamma.test']) {
    await assert.rejects(operator.call('identity-add', { address }), (error) => error instanceof KeyFault);
  }
  await assert.rejects(operator.call('identity-show', { address: 'a@gamma.test' }), isFault('not-found'));
});

test('a key with its certificate is imported, encrypted or not, and leased like our own', async () => {
  const plain = selfSigned('imported', 'imported@alpha.test');
  const file = Buffer.concat([plain.certificate, plain.key]);
  const { imported } = await operator.call('import', { file });
  assert.deepEqual(imported[0]?.certificates.map(({ use }) => use).sort(), ['decryption', 'signing']);
  assert.deepEqual((await operator.call('import', { file })).imported, imported);

  const { ticket, envelope } = ticketFor(await service.as('ingress').ticketSigner(), { from: 'imported@alpha.test' });
  const keyId = 'alpha/imported%40alpha.test/signing/1' as KeyId;
  const { privateKey } = await service.as('crypto-worker').lease(keyId, { ticket, envelope });
  assert.ok(createPublicKey(privateKey).equals(parseCertificate(plain.certificate).publicKey));

  selfSigned('locked', 'locked@alpha.test', ['-addext', 'keyUsage=critical,digitalSignature']);
  openssl(
    'pkcs8',
    '-topk8',
    '-in',
    'locked.key',
    '-out',
    'locked.p8',
    '-v2',
    'aes-256-cbc',
    '-passout',
    'pass:open sesame',
  );
  const locked = Buffer.concat([
    readFileSync(join(directory, 'locked.p8')),
    readFileSync(join(directory, 'locked.crt')),
  ]);
  await assert.rejects(operator.call('import', { file: locked, password: 'wrong' }), isFault('import-password-wrong'));
  await assert.rejects(operator.call('import', { file: locked }), isFault('import-password-wrong'));
  const opened = await operator.call('import', { file: locked, password: 'open sesame' });
  assert.deepEqual(
    opened.imported[0]?.certificates.map(({ use }) => use),
    ['signing'],
  );
});

test('PKCS#12 files of today and of yesterday are imported; the wrong password opens neither', async () => {
  for (const [name, more] of [
    ['modern', []],
    ['legacy', ['-legacy', '-certpbe', 'PBE-SHA1-RC2-40', '-keypbe', 'PBE-SHA1-3DES', '-macalg', 'sha1']],
  ] as const) {
    selfSigned(name, `${name}@beta.test`);
    const input = [
      '-inkey',
      `${name}.key`,
      '-in',
      `${name}.crt`,
      '-out',
      `${name}.p12`,
      '-passout',
      'pass:open sesame',
    ];
    openssl('pkcs12', '-export', ...more, ...input);
    const file = readFileSync(join(directory, `${name}.p12`));
    await assert.rejects(operator.call('import', { file, password: 'wrong' }), isFault('import-password-wrong'), name);
    const { imported } = await operator.call('import', { file, password: 'open sesame' });
    assert.deepEqual(
      imported.map(({ tenant, address, certificates }) => [tenant, address, certificates.length]),
      [['beta', `${name}@beta.test`, 2]],
    );
    await assert.rejects(
      operator.call('import', { file: file.subarray(0, file.length - 9), password: 'open sesame' }),
      isFault('import-unreadable'),
    );
  }
});

test("a partner's signing and encryption certificates come in together", async () => {
  const { records } = await operator.call('identity-show', { address: 'p256@alpha.test' });
  const file = Buffer.from(records.map(({ certificate }) => pem(certificate)).join(''));
  const { imported } = await operator.call('import', { tenant: 'beta', file });
  assert.deepEqual(
    imported[0]?.certificates.map(({ use }) => use),
    ['partner', 'partner'],
  );
});

test("a partner's certificate is pinned to its address in the tenant that imported it", async () => {
  const partner = selfSigned('partner', 'partner@gamma.test');
  await assert.rejects(operator.call('import', { file: partner.certificate }), isFault('tenant-needed'));
  await operator.call('import', { tenant: 'beta', file: partner.certificate });
  const worker = service.as('crypto-worker', 'pins');
  const [record, ...others] = await worker.certificates(tenantId('beta'), 'Partner@gamma.test');
  assert.equal(others.length, 0);
  assert.deepEqual([record?.pinned, record?.keyId], [true, undefined]);
  assert.deepEqual(await worker.certificates(tenantId('alpha'), 'partner@gamma.test'), []);
});

test('what does not belong together is not imported', async () => {
  const one = selfSigned('one', 'one@alpha.test');
  const two = selfSigned('two', 'two@alpha.test');
  const foreign = selfSigned('foreign', 'someone@gamma.test');
  const refused: [KeyRequestInput<'import'>, string][] = [
    [{ file: Buffer.concat([one.certificate, two.key]) }, 'import-mismatch'],
    [{ file: Buffer.concat([foreign.certificate, foreign.key]) }, 'address-not-ours'],
    [{ file: Buffer.concat([one.certificate, one.key]), address: 'other@alpha.test' }, 'import-mismatch'],
    [{ file: one.key }, 'import-mismatch'],
    [{ file: Buffer.from('not a file at all') }, 'import-unreadable'],
    [{ file: Buffer.alloc(0) }, 'import-unreadable'],
    [{ file: one.certificate.subarray(0, 200) }, 'import-unreadable'],
    [{ tenant: 'gamma', file: one.certificate }, 'not-found'],
  ];
  for (const [request, code] of refused) await assert.rejects(operator.call('import', request), isFault(code), code);
  for (const address of ['one@alpha.test', 'two@alpha.test']) {
    await assert.rejects(operator.call('identity-show', { address }), isFault('not-found'));
  }
});

test('roots are trusted by the tenant that was told to, and only authorities can be', async () => {
  const { certificates } = await operator.call('trust-anchors', { tenant: 'alpha' });
  const root = certificates[0] ?? Buffer.alloc(0);
  const { anchors } = await operator.call('trust-add', { tenant: 'beta', file: Buffer.from(pem(root)) });
  assert.equal(anchors[0]?.subject.includes('alpha mail CA'), true);
  await operator.call('trust-add', { tenant: 'beta', file: root });
  const listed = (await operator.call('trust-list', {})).anchors;
  assert.deepEqual(
    listed.map(({ tenant, own }) => [tenant, own]),
    [
      ['alpha', true],
      ['beta', true],
      ['beta', false],
    ],
  );
  const leaf = selfSigned('leaf', 'leaf@gamma.test').certificate;
  await assert.rejects(operator.call('trust-add', { tenant: 'beta', file: leaf }), isFault('trust-not-ca'));
  await assert.rejects(
    operator.call('trust-add', { tenant: 'beta', file: Buffer.from('x') }),
    isFault('import-unreadable'),
  );
  await assert.rejects(operator.call('trust-add', { file: root }), isFault('tenant-needed'));
});
