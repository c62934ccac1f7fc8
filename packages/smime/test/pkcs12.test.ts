import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readPkcs12 } from '../src/pkcs12/read-pkcs12.ts';
import { algorithmIdentifier, explicit, integer, NULL, octetString, oid, sequence } from '../src/pki/der-write.ts';
import { CA, forge } from './forge.ts';

const dir = mkdtempSync(join(tmpdir(), 'sealpost-p12-'));
after(() => rmSync(dir, { recursive: true }));

const corpus = join(import.meta.dirname, '../../../../shared/corpus');
const skip = existsSync(corpus) ? false : 'the corpus is not here';

/** 600,000 iterations for each of six derivations take four seconds a file; they open too (tried by hand). */
const SLOW = new Set(['p12/rustcrypto-ValidCertificatePathTest1EE_firefox.p12', 'p12/t6752-ov-user-ff.p12']);

interface Case {
  file: string;
  kind: string;
  password: string;
}

function cases(kind: string): Case[] {
  const rows = readFileSync(join(corpus, 'MANIFEST.tsv'), 'utf8').split('\n');
  return rows
    .map((row) => row.split('\t'))
    .map(([, file = '', found = '', , password = '']) => ({ file, kind: found, password }))
    .filter((row) => row.kind === kind && !SLOW.has(row.file));
}

test('every PKCS#12 file of the corpus with a known password opens to what it holds', { skip }, () => {
  const all = cases('p12');
  assert.ok(all.length > 55);
  const closed = all.flatMap(({ file, password }) => {
    const { certificates, privateKeys } = readPkcs12(readFileSync(join(corpus, file)), password);
    return certificates.length + privateKeys.length > 0 ? [] : [file];
  });
  assert.deepEqual(closed, []);
  const thunderbird = join(corpus, 'thunderbird/mailnews/test/data/smime');
  for (const name of ['Alice', 'Bob', 'Dave', 'Eve', 'Alice-ec']) {
    const { certificates, privateKeys } = readPkcs12(readFileSync(join(thunderbird, `${name}.p12`)), 'nss');
    const key = privateKeys[0];
    assert.ok(key !== undefined && privateKeys.length === 1, name);
    assert.ok(
      certificates.some(({ publicKey }) => publicKey.equals(createPublicKey(key))),
      name,
    );
  }
});

test('damaged, unsupported and foreign files of the corpus do not open', { skip }, () => {
  for (const { file } of cases('p12-negative-or-unknown')) {
    for (const password of ['', '1234']) {
      const path = join(corpus, file);
      assert.throws(() => readPkcs12(readFileSync(path), password), { name: 'SmimeError' }, file);
    }
  }
});

const root = forge('Root', [CA]);
const alice = forge('Alice', [], root);

function exported(password: string, ...options: string[]): Buffer {
  writeFileSync(join(dir, 'cert.pem'), alice.certificate.pem);
  writeFileSync(join(dir, 'root.pem'), root.certificate.pem);
  writeFileSync(join(dir, 'key.pem'), alice.privateKey.export({ format: 'pem', type: 'pkcs8' }));
  const files = ['-in', 'cert.pem', '-inkey', 'key.pem', '-certfile', 'root.pem', '-out', 'out.p12'];
  const run = spawnSync('openssl', ['pkcs12', '-export', ...files, '-passout', `pass:${password}`, ...options], {
    cwd: dir,
  });
  assert.equal(run.status, 0, run.stderr.toString());
  return readFileSync(join(dir, 'out.p12'));
}

test('what OpenSSL exports opens, with new and old ciphers, with and without MAC, and odd passwords', () => {
  const variants: [string, string[]][] = [
    ['secret', []],
    ['sécrét ✓', []],
    ['', []],
    ['secret', ['-keypbe', 'PBE-SHA1-3DES', '-certpbe', 'PBE-SHA1-3DES', '-macalg', 'sha1']],
    ['secret', ['-legacy', '-descert']],
    ['secret', ['-legacy', '-keypbe', 'PBE-SHA1-RC2-40', '-certpbe', 'PBE-SHA1-RC2-128']],
    ['secret', ['-keypbe', 'AES-128-CBC', '-certpbe', 'NONE', '-macalg', 'sha512']],
    ['secret', ['-keypbe', 'NONE', '-certpbe', 'NONE']],
    ['secret', ['-nomac']],
  ];
  for (const [password, options] of variants) {
    const { certificates, privateKeys } = readPkcs12(exported(password, ...options), password);
    const fingerprints = certificates.map(({ fingerprint }) => fingerprint).sort();
    assert.deepEqual(
      fingerprints,
      [alice, root].map(({ certificate }) => certificate.fingerprint).sort(),
      options.join(' '),
    );
    assert.ok(privateKeys.length === 1 && privateKeys[0]?.equals(alice.privateKey), options.join(' '));
  }
});

test('a wrong password is a wrong password, with MAC and without', () => {
  for (const options of [[], ['-nomac'], ['-legacy']]) {
    const file = exported('secret', ...options);
    for (const password of ['', 'Secret', 'secret ']) {
      assert.throws(() => readPkcs12(file, password), { code: 'wrong-password' });
    }
  }
});

test('no flipped byte gives another key or certificate', () => {
  const file = exported('secret', '-iter', '1', '-macalg', 'sha256');
  for (let i = 0; i < file.length; i += 3) {
    const damaged = Buffer.from(file);
    damaged[i] = (damaged[i] ?? 0) ^ 0x11;
    try {
      const { certificates, privateKeys } = readPkcs12(damaged, 'secret');
      assert.ok(privateKeys.every((key) => key.equals(alice.privateKey)) && certificates.length === 2);
    } catch (error) {
      assert.equal((error as Error).name, 'SmimeError', String(error));
    }
  }
});

test('an iteration count without measure is refused before any work is done', () => {
  const data = '1.2.840.113549.1.7.1';
  const info = sequence(oid(data), explicit(0, octetString(sequence())));
  const digest = sequence(algorithmIdentifier('2.16.840.1.101.3.4.2.1', NULL), octetString(Buffer.alloc(32)));
  const file = sequence(integer(3), info, sequence(digest, octetString(Buffer.alloc(8)), integer(2 ** 31 - 1)));
  assert.throws(() => readPkcs12(file, 'x'), { code: 'limit-exceeded' });
});

test('what is no PKCS#12 file is malformed', () => {
  for (const bytes of [Buffer.alloc(0), Buffer.from('MIIB'), sequence(integer(2)), alice.certificate.der]) {
    assert.throws(() => readPkcs12(bytes, ''), { code: 'malformed-pkcs12' });
  }
});
