// `sealpost smime` and `sealpost pki` as a person runs them: files in every form, what is printed, exit codes, and how much is loaded.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Certificate, issueCertificate } from '@sealpost/smime';

const command = join(import.meta.dirname, '../bin/sealpost.mjs');
const directory = mkdtempSync(join(tmpdir(), 'sealpost-cli-'));
after(() => rmSync(directory, { recursive: true, force: true }));

function file(name: string, content?: Buffer | string): string {
  const path = join(directory, name);
  if (content !== undefined) writeFileSync(path, content);
  return path;
}

function sealpost(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

function json(...args: readonly string[]) {
  const { status, stdout, stderr } = sealpost(...args, '--json');
  assert.equal(stderr, '');
  return { status, report: JSON.parse(stdout) };
}

interface Pair {
  readonly certificate: Certificate;
  readonly privateKey: KeyObject;
}

function issue(name: string, profile: 'ca' | 'smime', issuer?: Pair): Pair {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const certificate = issueCertificate({
    subject: { commonName: name },
    ...(profile === 'smime' ? { addresses: [`${name}@example.test`] } : {}),
    publicKey,
    notBefore: new Date('2026-01-01'),
    notAfter: new Date('2046-01-01'),
    profile,
    issuer: issuer ?? { certificate: 'self', privateKey },
  });
  return { certificate, privateKey };
}

const ca = issue('ca', 'ca');
const alice = issue('alice', 'smime', ca);
const bob = issue('bob', 'smime', ca);
const trust = ['--trust', file('ca.pem', ca.certificate.pem)];
const signer = ['--signer-key', keyFile('alice', alice), '--signer-cert', file('alice.pem', alice.certificate.pem)];
const reader = ['--key', keyFile('bob', bob), '--cert', file('bob.pem', bob.certificate.pem)];
const recipient = ['--recipient', file('bob.der', bob.certificate.der)];
const mail = file(
  'mail.eml',
  'From: Alice <alice@example.test>\nTo: bob@example.test\nSubject: Hello\n\nDear Bob,\nhello.\n',
);
const text = 'Content-Type: text/plain; charset=us-ascii\r\n\r\nDear Bob,\r\nhello.\r\n';

function keyFile(name: string, { privateKey }: Pair): string {
  return file(`${name}.key`, privateKey.export({ type: 'pkcs8', format: 'pem' }));
}

function protectedMail(name: string, ...flags: readonly string[]): string {
  const made = json('smime', 'protect', '--in', mail, '--out', file(name), ...flags);
  assert.deepEqual([made.status, made.report.ok], [0, true]);
  return file(name);
}

test('signed and encrypted mail comes back as what was written, whatever lies between', () => {
  for (const opaque of [[], ['--opaque']]) {
    const made = protectedMail(
      'both.eml',
      ...signer,
      ...recipient,
      ...opaque,
      '--cipher',
      'aes-256-gcm',
      '--oaep',
      '--pss',
    );
    const out = file('both.out');
    const { status, report } = json('smime', 'open', '--in', made, ...reader, ...trust, '--out', out);
    assert.deepEqual([status, report.ok, report.verified, report.from.match], [0, true, true, true]);
    assert.deepEqual(
      report.layers.map(({ kind }: { kind: string }) => kind),
      ['encrypted', 'signed'],
    );
    assert.deepEqual(report.weaknesses, []);
    assert.equal(readFileSync(out, 'latin1'), text);
    assert.equal(report.contentSha256, createHash('sha256').update(text).digest('hex'));
    assert.doesNotMatch(JSON.stringify(report), /PRIVATE|privateKey/);
  }
});

test('keys and certificates are read as PEM, DER and base64, and from PKCS#12', () => {
  const made = protectedMail('encrypted.eml', ...recipient);
  const pkcs8 = bob.privateKey.export({ type: 'pkcs8', format: 'der' });
  const password = file('password', 'secret\n');
  const p12 = [
    '-inkey',
    keyFile('bob', bob),
    '-in',
    file('bob.pem'),
    '-out',
    file('bob.p12'),
    '-passout',
    'pass:secret',
  ];
  assert.equal(spawnSync('openssl', ['pkcs12', '-export', ...p12]).status, 0);
  const locked = bob.privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' });
  const forms = [
    ['--key', file('key.der', pkcs8), '--cert', file('bob.der')],
    [
      '--key',
      file('key.b64', pkcs8.toString('base64')),
      '--cert',
      file('bob.b64', bob.certificate.der.toString('base64')),
    ],
    ['--key', file('pkcs1.der', bob.privateKey.export({ type: 'pkcs1', format: 'der' })), '--cert', file('bob.pem')],
    ['--key', file('locked.pem', locked), '--cert', file('bob.pem'), '--password-file', password],
    ['--p12', file('bob.p12'), '--password-file', password],
    ['--key', file('bob.key')],
  ];
  for (const form of forms) {
    const { status, report } = json('smime', 'open', '--in', made, ...form);
    assert.deepEqual([status, report.encrypted, report.problem], [0, true, 'not-signed'], form.join(' '));
    assert.ok(report.weaknesses.includes('cbc-without-integrity'));
  }
});

test('what does not open ends in one code and exit code 1, and writes nothing', () => {
  const made = protectedMail('closed.eml', ...recipient);
  const out = file('closed.out');
  const others = ['--key', file('alice.key'), '--cert', file('alice.pem')];
  for (const keys of [[], others]) {
    const { status, report } = json('smime', 'open', '--in', made, ...keys, '--out', out);
    assert.deepEqual([status, report.ok, report.error], [1, false, { code: 'undecryptable' }]);
    assert.equal('contentSha256' in report, false);
  }
  const plain = json('smime', 'open', '--in', mail, '--out', out);
  assert.deepEqual([plain.status, plain.report.error], [1, { code: 'not-protected' }]);
  const broken = json('smime', 'open', '--in', file('broken.der', Buffer.of(0x30, 0x03, 1, 2, 3)), '--out', out);
  assert.deepEqual([broken.status, broken.report.error], [1, { code: 'malformed-cms' }]);
  assert.equal(existsSync(out) || existsSync(`${out}.part`), false);
});

test('a bare signature and its content; path and time count unless they are left out', () => {
  const content = file('content.txt', 'one\ntwo\n');
  const made = [
    '-signer',
    file('alice.pem'),
    '-inkey',
    file('alice.key'),
    '-in',
    content,
    '-outform',
    'DER',
    '-out',
    file('bare.p7s'),
  ];
  assert.equal(spawnSync('openssl', ['cms', '-sign', '-binary', ...made]).status, 0);
  const bare = ['smime', 'open', '--in', file('bare.p7s'), '--content', content];
  assert.equal(json(...bare, ...trust).report.verified, true);
  assert.equal(json(...bare).report.problem, 'untrusted');
  assert.equal(json(...bare, ...trust, '--at', '2047-01-01').report.problem, 'untrusted');
  assert.equal(json(...bare, '--no-path', '--at', '2047-01-01').report.verified, true);
  assert.equal(json(...bare, ...trust, '--from', 'alice@example.test').report.verified, true);
  assert.equal(json(...bare, ...trust, '--from', 'eve@example.test').report.problem, 'from-mismatch');
  file('content.txt', 'one\ntwo!\n');
  assert.equal(json(...bare, ...trust).report.problem, 'signature-broken');
});

test('pki check names the path, or the failure and where', () => {
  const check = ['pki', 'check', '--leaf', file('alice.pem'), ...trust];
  const good = json(...check, '--email', 'alice@example.test');
  assert.deepEqual([good.status, good.report.ok], [0, true]);
  assert.deepEqual(
    good.report.path.map(({ subject }: { subject: string }) => subject),
    ['CN=alice', 'CN=ca'],
  );
  const failures = [
    [['--email', 'bob@example.test'], 'address'],
    [['--at', '2025-01-01'], 'not-yet-valid'],
    [['--policy', '1.2.3.4', '--initial-explicit-policy'], 'policy'],
    [['--purpose', 'tls-server'], 'purpose'],
  ] as const;
  for (const [flags, code] of failures) {
    const { status, report } = json(...check, ...flags);
    assert.deepEqual([status, report.ok, report.path], [1, false, []]);
    assert.equal(report.failure.code, code);
    assert.equal(typeof report.failure.depth, 'number');
  }
});

test('a wrong command line is exit code 2 with a sentence', () => {
  const wrong = [
    ['smime', 'open'],
    ['smime', 'open', '--in', file('nowhere')],
    ['smime', 'open', '--in', mail, '--at', 'yesterday'],
    ['smime', 'open', '--in', mail, '--trust', mail],
    ['smime', 'open', '--in', mail, '--p12', file('ca.pem')],
    ['smime', 'open', '--in', mail, '--kek', mail],
    ['smime', 'protect', '--in', mail, '--out', file('x')],
    ['smime', 'protect', '--in', mail, '--out', file('x'), '--signer-key', file('alice.key')],
    [
      'smime',
      'protect',
      '--in',
      mail,
      '--out',
      file('x'),
      '--signer-key',
      file('alice.key'),
      '--signer-cert',
      file('bob.pem'),
    ],
    ['smime', 'protect', '--in', mail, '--out', file('x'), ...recipient, '--cipher', 'rot13'],
    ['pki', 'check', '--leaf', file('alice.pem')],
    ['pki', 'check', '--leaf', file('alice.pem'), ...trust, '--policy', 'none'],
  ];
  for (const args of wrong) {
    const { status, stdout, stderr } = sealpost(...args);
    assert.deepEqual([status, stdout], [2, ''], args.join(' '));
    assert.match(stderr, /^(error|sealpost): .{10,}/, args.join(' '));
    assert.doesNotMatch(stderr, /\n\s+at /);
  }
});

test('every command on files shows an example', () => {
  for (const words of [
    ['smime', 'open'],
    ['smime', 'protect'],
    ['pki', 'check'],
  ]) {
    const { status, stdout } = sealpost(...words, '--help');
    assert.equal(status, 0);
    assert.match(stdout, /Examples?:\n {2}sealpost /);
  }
});

test('a command on files loads nothing of the gateway', () => {
  const main = join(import.meta.dirname, '../src/main.ts');
  const listing = `
    import { registerHooks } from 'node:module';
    registerHooks({ load: (url, context, next) => (process.stderr.write(url + '\\n'), next(url, context)) });
  `;
  const hook = `data:text/javascript,${encodeURIComponent(listing)}`;
  const args = ['--import', hook, main, 'pki', 'check', '--leaf', file('alice.pem'), ...trust];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.equal(status, 0);
  assert.match(stderr, /packages\/smime\/src\/index\.ts/);
  assert.doesNotMatch(stderr, /packages\/(core|queue|service|testkit)\/|bullmq|ioredis|zod|opentelemetry|pino/);
});
