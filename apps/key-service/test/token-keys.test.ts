// A person's keys in a PKCS#11 token (SoftHSM), through everything that mail goes through: the worker's own port and the engine on one
// side, OpenSSL as the partner, the key service as a process, its token in a process of its own. The keys cannot be taken out.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { codeOf, type KeyId, type KeyService, type TicketSigner } from '@sealpost/core';
import { findActs, type KeyConnection, KeyFault } from '@sealpost/service';
import { type Certificate, issueCertificate, type KeyPort, open, parseCertificate, protect } from '@sealpost/smime';
import {
  makeSoftHsm,
  type SoftHsm,
  softHsmModule,
  type TemporaryDirectory,
  temporaryDirectory,
} from '@sealpost/testkit';
import { ownKeys } from '../../crypto-worker/src/key-port.ts';
import { openHsm } from '../src/hsm/open-hsm.ts';
import { type Mail, type RunningKeyService, runKeyService, ticketFor } from './running-key-service.ts';

const day = 86_400_000;
const ca = generateKeyPairSync('rsa', { modulusLength: 2048 });
const span = { notBefore: new Date(Date.now() - day), notAfter: new Date(Date.now() + day) };
const root = issueCertificate({
  subject: { commonName: 'Partner CA' },
  publicKey: ca.publicKey,
  profile: 'ca',
  issuer: { certificate: 'self', privateKey: ca.privateKey },
  ...span,
});

function issue(address: string, publicKey: KeyObject, profile: 'smime' | 'smime-encrypt' | 'smime-sign'): Certificate {
  const issuer = { certificate: root, privateKey: ca.privateKey };
  return issueCertificate({
    subject: { commonName: address },
    addresses: [address],
    publicKey,
    profile,
    issuer,
    ...span,
  });
}

const pem = ({ der }: Certificate): string =>
  `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;

suite('keys in a token', { skip: softHsmModule === undefined && 'SoftHSM or its binding is not installed' }, () => {
  let directory: TemporaryDirectory;
  let token: SoftHsm;
  let service: RunningKeyService;
  let operator: KeyConnection;
  let worker: KeyService;
  let signer: TicketSigner;
  let rsa: Certificate;
  let ec: Certificate;

  before(async () => {
    directory = await temporaryDirectory();
    token = makeSoftHsm(directory.path);
    const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
    token.importKey('alice', '01', pair.privateKey);
    token.makeEcKey('bob', '02', 'P-256');
    token.makeAesKey('aes', '03');
    rsa = issue('alice@alpha.test', pair.publicKey, 'smime');
    ec = issue('bob@beta.test', await publicKeyOf('bob'), 'smime');
    service = await runKeyService({ keyServer: { pkcs11: token.place }, environment: token.environment });
    operator = service.call('operator');
    worker = service.as('crypto-worker', 'w1');
    signer = await service.as('ingress').ticketSigner();
  });
  after(async () => {
    await service[Symbol.asyncDispose]();
    await directory.remove();
  });

  /** As the token gives it: nobody else knows the key that was made there. */
  async function publicKeyOf(label: string): Promise<KeyObject> {
    Object.assign(process.env, token.environment);
    const hsm = openHsm({ ...token.place, deadlineMs: 5_000, onFailure: assert.fail });
    try {
      const { publicKey, extractable } = await hsm.find({ label });
      assert.equal(extractable, false);
      return createPublicKey({ key: publicKey ?? Buffer.alloc(0), format: 'der', type: 'spki' });
    } finally {
      await hsm.close();
    }
  }

  /** The port that the worker gives the engine for a message. */
  function portFor(certificate: Certificate, keyId: string, mail: Mail): KeyPort {
    const { ticket: ticketBytes, envelope } = ticketFor(signer, mail);
    return ownKeys([{ certificate, keyId: keyId as KeyId }], worker, { ticketBytes, envelope });
  }

  function openssl(args: readonly string[], files: Record<string, Buffer | string>): Buffer {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(directory.path, name), content);
    return execFileSync('openssl', [...args], { cwd: directory.path, stdio: ['ignore', 'pipe', 'pipe'] });
  }

  async function decrypt(mail: Buffer, certificate: Certificate, keyId: string, to: string, tenant: string) {
    const keys = portFor(certificate, keyId, { tenant, direction: 'inbound', from: '', to: [to] });
    return await open(mail, { keys, recipients: [certificate], trust: [], at: new Date() });
  }

  function encrypted(certificate: Certificate, ...options: string[]): Buffer {
    const args = ['cms', '-encrypt', '-aes256', '-in', 'text', '-recip', 'cert.pem', ...options];
    const made = openssl(args, { text: 'Content-Type: text/plain\r\n\r\nDear all\r\n', 'cert.pem': pem(certificate) });
    return Buffer.from(made.toString('latin1').replace(/\r?\n/g, '\r\n'), 'latin1');
  }

  test('a key is taken from the token with its certificate; what does not belong together is refused', async () => {
    const add = (more: { label?: string; id?: string; address?: string }, file: Buffer) =>
      operator.call('keys-add-token', { ...more, file });
    const fault = (code: string) => (error: unknown) => error instanceof KeyFault && error.code === code;
    const chain = Buffer.from(pem(rsa) + pem(root));
    await assert.rejects(add({}, chain), fault('request-malformed'));
    await assert.rejects(add({ label: 'nobody' }, chain), fault('hsm-key-missing'));
    await assert.rejects(add({ label: 'alice', id: '02' }, chain), fault('hsm-key-missing'));
    await assert.rejects(add({ label: 'aes' }, chain), fault('import-mismatch'));
    await assert.rejects(add({ label: 'bob' }, chain), fault('import-mismatch'));
    await assert.rejects(add({ label: 'alice' }, Buffer.from('nonsense')), fault('import-unreadable'));
    await assert.rejects(add({ label: 'alice', address: 'eve@alpha.test' }, chain), fault('import-mismatch'));
    const stranger = issue('x@elsewhere.test', rsa.publicKey, 'smime');
    await assert.rejects(add({ label: 'alice' }, Buffer.from(pem(stranger))), fault('address-not-ours'));

    const { imported } = await add({ label: 'alice' }, chain);
    assert.deepEqual(
      imported.map(({ address, certificates }) => [address, certificates.map(({ use }) => use).sort()]),
      [['alice@alpha.test', ['decryption', 'signing']]],
    );
    await add({ id: '02' }, Buffer.from(pem(ec)));
    await assert.rejects(add({ label: 'alice' }, chain), fault('exists'));
  });

  test('it is never lent, rotated or turned into another', async () => {
    const keyId = 'alpha/alice%40alpha.test/signing/1' as KeyId;
    await assert.rejects(worker.lease(keyId, ticketFor(signer)), (error) => codeOf(error) === 'key-in-place');
    const rotate = operator.call('keys-rotate', { tenant: 'alpha', identity: 'alice@alpha.test' });
    await assert.rejects(rotate, (error) => error instanceof KeyFault && error.code === 'key-in-token');
  });

  test('a message is signed with it; OpenSSL verifies', async () => {
    const text = 'From: alice@alpha.test\r\nContent-Type: text/plain\r\n\r\nDear Bob\r\n';
    for (const [certificate, keyId, mail, pss] of [
      [rsa, 'alpha/alice%40alpha.test/signing/1', {}, false],
      [rsa, 'alpha/alice%40alpha.test/signing/1', {}, true],
      [ec, 'beta/bob%40beta.test/signing/1', { tenant: 'beta', from: 'bob@beta.test' }, false],
    ] as const) {
      const sign = { certificate, chain: [root], pss };
      const made = await protect(Buffer.from(text), { keys: portFor(certificate, keyId, mail), sign, now: new Date() });
      const verify = ['cms', '-verify', '-in', 'mail', '-CAfile', 'ca.pem', '-purpose', 'smimesign'];
      assert.match(openssl(verify, { mail: made, 'ca.pem': pem(root) }).toString(), /Dear Bob/);
    }
  });

  test('a message from OpenSSL is decrypted with it: RSA v1.5, OAEP, ECDH', async () => {
    for (const [certificate, keyId, to, tenant, options] of [
      [rsa, 'alpha/alice%40alpha.test/decryption/1', 'alice@alpha.test', 'alpha', []],
      [rsa, 'alpha/alice%40alpha.test/decryption/1', 'alice@alpha.test', 'alpha', ['-keyopt', 'rsa_padding_mode:oaep']],
      [ec, 'beta/bob%40beta.test/decryption/1', 'bob@beta.test', 'beta', []],
    ] as const) {
      const opened = await decrypt(encrypted(certificate, ...options), certificate, keyId, to, tenant);
      assert.equal(opened.kind, 'opened', `${keyId} ${options}`);
      assert.ok(opened.kind === 'opened' && opened.message.includes('Dear all'));
    }
  });

  test('what does not open is one outcome, and the refusals of a lease hold here too', async () => {
    const [keyId, to] = ['alpha/alice%40alpha.test/decryption/1', 'alice@alpha.test'];
    const body = encrypted(rsa).toString('latin1');
    // The encrypted key is most of the first lines.
    const lines = body.split('\r\n');
    const at = lines.indexOf('') + 6;
    const damaged = lines.with(at, [...(lines[at] ?? '')].reverse().join('')).join('\r\n');
    assert.equal((await decrypt(Buffer.from(damaged, 'latin1'), rsa, keyId, to, 'alpha')).kind, 'undecryptable');
    await assert.rejects(
      decrypt(encrypted(rsa), rsa, keyId, 'carol@alpha.test', 'alpha'),
      (error) => codeOf(error) === 'key-denied',
    );
    const { acts } = await findActs(service.config.keyServer.audit.file, { worker: 'w1' });
    assert.ok(acts.some(({ operation, result, count }) => operation === 'sign' && result === 'ok' && count === 1));
    assert.ok(acts.some(({ operation, result }) => operation === 'open-recipient' && result === 'ok'));
    assert.ok(!acts.some(({ operation, result }) => operation === 'lease' && result === 'ok'));
    assert.deepEqual((await operator.call('lease-list', {})).held, []);
  });

  test('a key without a certificate waits for one, signs the request for it in the token, and signs mail when it came', async () => {
    token.makeRsaKey('carol', '04');
    const add = (more: object) => operator.call('keys-add-token', { label: 'carol', ...more });
    const fault = (code: string) => (error: unknown) => error instanceof KeyFault && error.code === code;
    await assert.rejects(add({}), fault('request-malformed'));
    await assert.rejects(add({ address: 'carol@elsewhere.test' }), fault('address-not-ours'));
    const address = 'carol@alpha.test';
    const { waiting } = await add({ address });
    const [signing = '', decryption] = waiting;
    assert.deepEqual(waiting, ['alpha/carol%40alpha.test/signing/1', 'alpha/carol%40alpha.test/decryption/1']);
    await assert.rejects(add({ address }), fault('exists'));
    const early = ticketFor(signer, { from: address });
    await assert.rejects(
      worker.sign(signing as KeyId, early, [
        { certificate: rsa.fingerprint, scheme: 'rsa-pkcs1', digest: 'sha256', signedAttributes: Buffer.alloc(9) },
      ]),
      (error) => codeOf(error) === 'key-denied',
    );

    const { request } = await operator.call('keys-csr', { keyId: signing });
    const verify = ['req', '-inform', 'DER', '-in', 'csr', '-verify', '-noout', '-text'];
    assert.match(openssl(verify, { csr: request }).toString(), /email:carol@alpha\.test/);
    const certificate = issue(address, await publicKeyOf('carol'), 'smime');
    await operator.call('import', { tenant: 'alpha', file: Buffer.from(pem(certificate) + pem(root)) });
    const { keys } = await operator.call('keys-list', { identity: address });
    assert.deepEqual(
      keys.map(({ keyId, state }) => [keyId, state]),
      [
        [decryption, 'active'],
        [signing, 'active'],
      ],
    );
    const text = `From: ${address}\r\nContent-Type: text/plain\r\n\r\nDear Bob\r\n`;
    const sign = { certificate, chain: [root] };
    const keyPort = portFor(certificate, signing, { from: address });
    const made = await protect(Buffer.from(text), { keys: keyPort, sign, now: new Date() });
    const check = ['cms', '-verify', '-in', 'mail', '-CAfile', 'ca.pem', '-purpose', 'smimesign'];
    assert.match(openssl(check, { mail: made, 'ca.pem': pem(root) }).toString(), /Dear Bob/);
  });

  test('certificates of these keys are found as any others are', async () => {
    const records = await worker.certificates('alpha' as never, 'alice@alpha.test');
    assert.deepEqual(
      new Set(records.map(({ certificate }) => parseCertificate(certificate).fingerprint)),
      new Set([rsa.fingerprint]),
    );
  });
});
