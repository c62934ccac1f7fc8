// Keys in a token (SoftHSM), through the module's own process: they sign, decrypt and derive as keys outside do, never leave, and
// whatever the module does, the service stays.

import assert from 'node:assert/strict';
import {
  constants,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  publicEncrypt,
  randomBytes,
  verify,
} from 'node:crypto';
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { KeyFault } from '@sealpost/service';
import {
  makeSoftHsm,
  type SoftHsm,
  softHsmModule,
  type TemporaryDirectory,
  temporaryDirectory,
} from '@sealpost/testkit';
import type { Hsm, HsmHash } from '../src/hsm/hsm.ts';
import { openHsm } from '../src/hsm/open-hsm.ts';

const isFault = (code: string) => (error: unknown) => error instanceof KeyFault && error.code === code;
const spki = (der: Buffer | undefined): KeyObject =>
  createPublicKey({ key: der ?? Buffer.alloc(0), format: 'der', type: 'spki' });
const hashes: readonly HsmHash[] = ['sha1', 'sha256', 'sha384', 'sha512'];
const message = Buffer.from('the whole signed attributes');

suite('with SoftHSM', { skip: softHsmModule === undefined && 'SoftHSM or its binding is not installed' }, () => {
  let directory: TemporaryDirectory;
  let token: SoftHsm;
  let hsm: Hsm;
  const failures: string[] = [];
  const open = (more: Partial<SoftHsm['place']> & { deadlineMs?: number } = {}): Hsm =>
    openHsm({ ...token.place, deadlineMs: 5_000, onFailure: (reason) => failures.push(reason), ...more });
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const curves = { 'P-256': '03', 'P-384': '04', 'P-521': '05' } as const;
  const ec = Object.fromEntries(
    Object.keys(curves).map((namedCurve) => [namedCurve, generateKeyPairSync('ec', { namedCurve })]),
  );

  before(async () => {
    directory = await temporaryDirectory();
    token = makeSoftHsm(directory.path);
    Object.assign(process.env, token.environment);
    token.importKey('rsa', '01', rsa.privateKey);
    token.makeAesKey('aes', '02');
    for (const [curve, id] of Object.entries(curves))
      token.importKey(curve, id, ec[curve]?.privateKey ?? rsa.privateKey);
    hsm = open();
  });
  after(async () => {
    await hsm.close();
    await directory.remove();
  });

  test('keys are found by label or id, with their public half, and cannot be taken out', async () => {
    const found = await hsm.find({ label: 'rsa' });
    assert.deepEqual(await hsm.find({ id: '01' }), found);
    assert.equal(found.type, 'rsa');
    assert.equal(found.extractable, false);
    assert.ok(spki(found.publicKey).equals(rsa.publicKey));
    for (const curve of Object.keys(curves)) {
      const { publicKey, type } = await hsm.find({ label: curve });
      assert.equal(type, 'ec');
      assert.ok(ec[curve] && spki(publicKey).equals(ec[curve].publicKey), curve);
    }
    assert.equal((await hsm.find({ label: 'aes' })).publicKey, undefined);
    const missing = [{ label: 'nobody' }, { id: 'ff' }, { label: 'rsa', id: '02' }, {}, { id: 'no hex' }];
    for (const name of missing) await assert.rejects(hsm.find(name), isFault('hsm-key-missing'));
  });

  test('two keys of one name are neither of them', async () => {
    token.makeAesKey('twin', '0a');
    token.makeAesKey('twin', '0b');
    await assert.rejects(hsm.find({ label: 'twin' }), isFault('hsm-key-missing'));
    assert.equal((await hsm.find({ label: 'twin', id: '0b' })).id, '0b');
  });

  test('signatures verify outside', async () => {
    for (const hash of hashes) {
      const pkcs1 = await hsm.sign({ label: 'rsa' }, { kind: 'rsa-pkcs1', hash }, message);
      assert.ok(verify(hash, message, rsa.publicKey, pkcs1), hash);
      const saltLength = 20;
      const pss = await hsm.sign({ label: 'rsa' }, { kind: 'rsa-pss', hash, saltLength }, message);
      const key = { key: rsa.publicKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
      assert.ok(verify(hash, message, key, pss), hash);
      for (const [curve, pair] of Object.entries(ec)) {
        const signature = await hsm.sign({ label: curve }, { kind: 'ecdsa', hash }, message);
        assert.ok(verify(hash, message, pair.publicKey, signature), `${curve} ${hash}`);
      }
    }
    await assert.rejects(
      hsm.sign({ label: 'aes' }, { kind: 'rsa-pkcs1', hash: 'sha256' }, message),
      isFault('hsm-refused'),
    );
    await assert.rejects(
      hsm.sign({ label: 'rsa' }, { kind: 'ecdsa', hash: 'sha256' }, message),
      isFault('hsm-refused'),
    );
  });

  test('what was encrypted outside is decrypted inside; what was not, all looks alike', async () => {
    const secret = randomBytes(32);
    const pkcs1 = publicEncrypt({ key: rsa.publicKey, padding: constants.RSA_PKCS1_PADDING }, secret);
    assert.deepEqual(await hsm.decrypt({ label: 'rsa' }, { kind: 'rsa-pkcs1' }, pkcs1), secret);
    const oaep = publicEncrypt({ key: rsa.publicKey, oaepHash: 'sha1' }, secret);
    const sha1 = { kind: 'rsa-oaep', hash: 'sha1', mgfHash: 'sha1' } as const;
    assert.deepEqual(await hsm.decrypt({ label: 'rsa' }, sha1, oaep), secret);
    const wrong = [oaep.subarray(1), Buffer.alloc(0), Buffer.alloc(256), Buffer.alloc(256, 0xff), randomBytes(3000)];
    for (const bytes of [oaep, ...wrong]) {
      // This token rejects implicitly: now and then it makes something of nothing, and never the secret.
      assert.notDeepEqual(await hsm.decrypt({ label: 'rsa' }, { kind: 'rsa-pkcs1' }, bytes), secret);
    }
    for (const bytes of [pkcs1, ...wrong]) assert.equal(await hsm.decrypt({ label: 'rsa' }, sha1, bytes), undefined);
    // And the next one is as before.
    assert.deepEqual(await hsm.decrypt({ label: 'rsa' }, { kind: 'rsa-pkcs1' }, pkcs1), secret);
  });

  test('AES blocks go in and out', async () => {
    const cipher = { kind: 'aes-cbc', iv: randomBytes(16) } as const;
    const plain = randomBytes(32);
    const boxed = await hsm.encrypt({ label: 'aes' }, cipher, plain);
    assert.equal(boxed.length, 32);
    assert.notDeepEqual(boxed, plain);
    assert.deepEqual(await hsm.decrypt({ label: 'aes' }, cipher, boxed), plain);
    await assert.rejects(hsm.encrypt({ label: 'aes' }, cipher, Buffer.alloc(31)), isFault('hsm-refused'));
    await assert.rejects(
      hsm.encrypt({ label: 'aes' }, { kind: 'aes-cbc', iv: Buffer.alloc(3) }, plain),
      isFault('hsm-refused'),
    );
  });

  test('a shared secret is the one that both sides get, and a point off the curve gives none', async () => {
    for (const [at, curve] of (['P-256', 'P-384', 'P-521'] as const).entries()) {
      token.makeEcKey(`made-${curve}`, `1${at}`, curve);
      const publicKey = spki((await hsm.find({ label: `made-${curve}` })).publicKey);
      const other = generateKeyPairSync('ec', { namedCurve: curve });
      const { x = '', y = '' } = other.publicKey.export({ format: 'jwk' });
      const point = Buffer.concat([Buffer.from([4]), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
      const expected = diffieHellman({ privateKey: other.privateKey, publicKey });
      assert.deepEqual(await hsm.derive({ label: `made-${curve}` }, point), expected, curve);
      point[10] = (point[10] ?? 0) ^ 1;
      for (const bad of [point, point.subarray(1), Buffer.alloc(0), Buffer.alloc(65)]) {
        assert.equal(await hsm.derive({ label: `made-${curve}` }, bad), undefined);
      }
    }
    await assert.rejects(hsm.derive({ label: 'P-256' }, Buffer.alloc(65)), isFault('hsm-refused'));
  });

  test('a hundred at once are answered, each with its own', async () => {
    const secrets = Array.from({ length: 100 }, () => randomBytes(24));
    const answers = secrets.map((secret) =>
      hsm.decrypt(
        { label: 'rsa' },
        { kind: 'rsa-pkcs1' },
        publicEncrypt({ key: rsa.publicKey, padding: constants.RSA_PKCS1_PADDING }, secret),
      ),
    );
    assert.deepEqual(await Promise.all(answers), secrets);
  });

  test('a process that was killed fails what it was asked, and the next call has another', async () => {
    const mine = open();
    try {
      await mine.find({ label: 'rsa' });
      const [child] = childrenOf(process.pid, token.place.module).slice(-1);
      assert.ok(child);
      const asked = mine.sign({ label: 'rsa' }, { kind: 'rsa-pkcs1', hash: 'sha256' }, message);
      process.kill(child, 'SIGKILL');
      await assert.rejects(asked, isFault('hsm-unavailable'));
      await eventually(() => mine.find({ label: 'rsa' }));
      assert.match(failures.at(-1) ?? '', /SIGKILL/);
    } finally {
      await mine.close();
    }
  });

  test('a process that hangs is killed at the deadline', async () => {
    const mine = open({ deadlineMs: 300 });
    try {
      await mine.find({ label: 'rsa' });
      const [child] = childrenOf(process.pid, token.place.module).slice(-1);
      assert.ok(child);
      process.kill(child, 'SIGSTOP');
      await assert.rejects(mine.find({ label: 'aes' }), isFault('hsm-unavailable'));
      await eventually(() => mine.find({ label: 'aes' }));
    } finally {
      await mine.close();
    }
  });

  test('a wrong PIN is tried once only: tokens lock themselves', async () => {
    const pinFile = join(directory.path, 'wrong-pin');
    writeFileSync(pinFile, '00000000');
    const before = failures.length;
    const mine = open({ pinFile });
    await assert.rejects(mine.find({ label: 'rsa' }), isFault('hsm-pin-wrong'));
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await assert.rejects(mine.find({ label: 'rsa' }), isFault('hsm-pin-wrong'));
    assert.equal(failures.length, before + 1);
    await mine.close();
  });

  test('a module, token or PIN file that is not there makes the token unavailable and nothing else', async () => {
    const notModule = join(directory.path, 'not-a-module.so');
    writeFileSync(notModule, 'nonsense');
    chmodSync(notModule, 0o755);
    for (const wrong of [{ module: '/none.so' }, { module: notModule }, { token: 'other' }, { pinFile: '/none' }]) {
      const mine = open(wrong);
      await assert.rejects(mine.find({ label: 'rsa' }), isFault('hsm-unavailable'));
      await mine.close();
    }
    rmSync(notModule);
  });
});

/** Module processes that this process started, oldest first. */
function childrenOf(parent: number, module: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const parentPid = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
        return Number(parentPid) === parent && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(module);
      } catch {
        return false;
      }
    })
    .sort((a, b) => a - b);
}

async function eventually(run: () => Promise<unknown>): Promise<void> {
  for (const deadline = Date.now() + 5_000; ; ) {
    try {
      await run();
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
