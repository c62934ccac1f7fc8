// Both directions against Bouncy Castle (Debian's libbcmail-java), all in one run of its virtual machine.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type CipherName, type DigestName, openObject, protect } from '../src/index.ts';
import { typeOf } from '../src/mime/canonical.ts';
import { boundaryOf } from '../src/mime/content-type.ts';
import { readEntity } from '../src/mime/header.ts';
import { readMultipart } from '../src/mime/multipart.ts';
import { ca, type KeyKind, keysOf, mail, NOW, type Person, person } from './people.ts';

const JARS = ['bcmail', 'bcpkix', 'bcutil', 'bcprov'].map((name) => `/usr/share/java/${name}.jar`);
const there = JARS.every((jar) => existsSync(jar)) && spawnSync('java', ['-version']).status === 0;
const skip = there ? false : 'no Bouncy Castle here';

const directory = mkdtempSync(join(tmpdir(), 'sealpost-bouncy-'));
after(() => rmSync(directory, { recursive: true, force: true }));
const TEXT = 'Content-Type: text/plain; charset=us-ascii\r\n\r\nfrom the castle\r\n';
const jobs: string[][] = [];
let results: string[] = [];
let files = 0;

function file(content?: Buffer | string): string {
  const path = join(directory, String(files++));
  if (content !== undefined) writeFileSync(path, content);
  return path;
}

function job(...fields: string[]): number {
  return jobs.push(fields) - 1;
}

const keyFile = (who: Person) => file(who.privateKey.export({ type: 'pkcs8', format: 'der' }));
const options = (who: Person) => ({
  keys: keysOf(who),
  recipients: [who.certificate],
  trust: [ca],
  at: new Date('2026-12-01'),
});

const SIGNATURES: readonly [KeyKind, string, string][] = [
  ['rsa', 'SHA256withRSA', 'RSA'],
  ['rsa', 'SHA512WITHRSAANDMGF1', 'RSA'],
  ['rsa', 'SHA3-256withRSA', 'RSA'],
  ['p256', 'SHA256withECDSA', 'EC'],
  ['p521', 'SHA512withECDSA', 'EC'],
  ['brainpool', 'SHA256withECDSA', 'EC'],
  ['p256', 'SHA3-256withECDSA', 'EC'],
  ['ed25519', 'Ed25519', 'Ed25519'],
  ['ed448', 'Ed448', 'Ed448'],
];
const ENCRYPTIONS: readonly [KeyKind, string, string][] = [
  ['rsa', 'AES128_CBC', 'rsa'],
  ['rsa', 'AES192_CBC', 'rsa'],
  ['rsa', 'AES256_GCM', 'oaep-SHA-256/SHA-256'],
  ['rsa', 'AES128_CCM', 'oaep-SHA-512/SHA-1'],
  ['rsa', 'AES256_CCM', 'rsa'],
  ['p256', 'AES256_CBC', 'ecdh-sha256'],
  ['p384', 'AES128_GCM', 'ecdh-sha384'],
  ['brainpool', 'AES192_CCM', 'ecdh-sha256'],
];
const OURS_SIGNED: readonly [KeyKind, boolean, { digest?: DigestName; pss?: boolean }][] = [
  ['rsa', true, {}],
  ['rsa', false, { pss: true, digest: 'sha512' }],
  ['rsa', true, { digest: 'sha3-256' }],
  ['p384', false, {}],
  ['brainpool', true, {}],
  ['ed25519', false, {}],
  ['ed448', true, {}],
];
const OURS_ENCRYPTED: readonly [KeyKind, CipherName, boolean][] = [
  ['rsa', 'aes-256-cbc', false],
  ['rsa', 'aes-256-gcm', true],
  ['p256', 'aes-128-gcm', false],
  ['p521', 'aes-256-cbc', false],
  ['brainpool', 'aes-192-cbc', false],
];

const theirs = {
  signed: [] as { id: number; kind: KeyKind; out: string; opaque: boolean }[],
  encrypted: [] as { id: number; kind: KeyKind; out: string }[],
};
const ours: { id: number; name: string; out: string }[] = [];

before(async () => {
  if (skip) return;
  const text = file(TEXT);
  for (const [kind, scheme, algorithm] of SIGNATURES) {
    const alice = person('alice', kind);
    for (const opaque of [true, false]) {
      const out = file();
      const id = job(
        'sign',
        scheme,
        algorithm,
        keyFile(alice),
        file(alice.certificate.der),
        text,
        out,
        opaque ? 'opaque' : 'detached',
      );
      theirs.signed.push({ id, kind, out, opaque });
    }
  }
  for (const [kind, cipher, method] of ENCRYPTIONS) {
    const out = file();
    const id = job('encrypt', cipher, method, file(person('bob', kind).certificate.der), text, out);
    theirs.encrypted.push({ id, kind, out });
  }
  const message = mail('alice@example.test', 'to the castle\r\n');
  for (const [kind, opaque, wish] of OURS_SIGNED) {
    const alice = person('alice', kind);
    const sign = { certificate: alice.certificate, opaque, ...wish };
    const entity = readEntity(await protect(message, { keys: keysOf(alice), sign, now: NOW }));
    const parts = opaque ? [] : readMultipart(entity.body, boundaryOf(typeOf(entity.fields)) ?? '').parts;
    const base64 = opaque ? entity.body : readEntity(parts[1] ?? entity.body).body;
    const out = file();
    const object = file(Buffer.from(base64.toString(), 'base64'));
    const id = job('verify', object, file(alice.certificate.der), opaque ? '-' : file(parts[0]), out);
    ours.push({ id, name: `verifies our ${kind} ${JSON.stringify(wish)} signature`, out });
  }
  for (const [kind, cipher, oaep] of OURS_ENCRYPTED) {
    const bob = person('bob', kind);
    const encrypt = { recipients: [bob.certificate], cipher, oaep };
    const entity = readEntity(await protect(message, { keys: keysOf(), encrypt, now: NOW }));
    const out = file();
    const object = file(Buffer.from(entity.body.toString(), 'base64'));
    const id = job('decrypt', kind === 'rsa' ? 'RSA' : 'EC', keyFile(bob), object, out);
    ours.push({ id, name: `decrypts our ${cipher} for ${kind}`, out });
  }
  const list = file(jobs.map((fields) => fields.join('\t')).join('\n'));
  const log = file();
  const source = new URL('bouncy/Peer.java', import.meta.url).pathname;
  const { status, stderr } = spawnSync('java', ['-cp', JARS.join(':'), source, list, log]);
  assert.equal(status, 0, stderr.toString());
  results = readFileSync(log, 'utf8').split('\n');
});

test('we verify what Bouncy Castle signs', { skip }, async (t) => {
  for (const { id, kind, out, opaque } of theirs.signed) {
    await t.test(`${jobs[id]?.[1]} with ${kind}, ${opaque ? 'opaque' : 'detached'}`, async () => {
      assert.equal(results[id], 'ok');
      const content = opaque ? undefined : Buffer.from(TEXT);
      const result = await openObject(
        readFileSync(out),
        { ...options(person('bob')), from: 'alice@example.test' },
        content,
      );
      assert.deepEqual(
        result.verdict.signers.map(({ problem }) => problem),
        [undefined],
      );
      assert.equal(result.verdict.verified, true);
    });
  }
});

test('we decrypt what Bouncy Castle encrypts', { skip }, async (t) => {
  for (const { id, kind, out } of theirs.encrypted) {
    await t.test(`${jobs[id]?.[1]} for ${kind} by ${jobs[id]?.[2]}`, async () => {
      assert.equal(results[id], 'ok');
      const result = await openObject(readFileSync(out), options(person('bob', kind)));
      assert.ok(result.kind === 'opened' && result.content.toString() === TEXT);
    });
  }
});

test('Bouncy Castle reads what we make', { skip }, async (t) => {
  for (const { id, name, out } of ours) {
    await t.test(name, () => {
      assert.equal(results[id], 'ok');
      assert.ok(readFileSync(out).includes('to the castle'));
    });
  }
});
