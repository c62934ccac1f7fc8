import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { cacheSize, certificateFromDer } from '../src/pki/certificate.ts';
import { octetString } from '../src/pki/der-write.ts';
import { parseCertificate, parseCertificates } from '../src/pki/encoded.ts';
import { validatePath } from '../src/pki/path.ts';
import { AT, CA, extension, forge } from './forge.ts';

const dir = mkdtempSync(join(tmpdir(), 'sealpost-certificate-'));
after(() => rmSync(dir, { recursive: true }));
const corpus = join(import.meta.dirname, '../../../../shared/corpus');
const skip = existsSync(corpus) ? false : 'the corpus is not here';

const root = forge('Root', [CA]);
const alice = forge('Alice', [], root);
const fingerprints = (bytes: Buffer): string[] => parseCertificates(bytes).map(({ fingerprint }) => fingerprint);

test('bundles of every shape give the same certificates', () => {
  const both = [alice.certificate.fingerprint, root.certificate.fingerprint];
  const pem = alice.certificate.pem + root.certificate.pem;
  writeFileSync(join(dir, 'both.pem'), pem);
  const p7 = (form: string): Buffer => {
    const run = spawnSync('openssl', ['crl2pkcs7', '-nocrl', '-certfile', 'both.pem', '-outform', form], { cwd: dir });
    assert.equal(run.status, 0);
    return run.stdout;
  };
  const key = alice.privateKey.export({ format: 'pem', type: 'pkcs8' });
  const trusted = spawnSync('openssl', ['x509', '-trustout', '-addtrust', 'emailProtection'], { input: pem }).stdout;
  assert.deepEqual(fingerprints(Buffer.from(pem)), both);
  assert.deepEqual(fingerprints(Buffer.from(`Bag Attributes\r\n${pem.replaceAll('\n', '\r\n')}`)), both);
  assert.deepEqual(fingerprints(Buffer.from(`${key}${pem}`)), both);
  assert.deepEqual(fingerprints(Buffer.concat([alice.certificate.der, root.certificate.der])), both);
  assert.deepEqual(fingerprints(p7('DER')).sort(), [...both].sort());
  assert.deepEqual(fingerprints(p7('PEM')).sort(), [...both].sort());
  assert.deepEqual(fingerprints(trusted), both.slice(0, 1));
  assert.throws(() => parseCertificate(Buffer.from(pem)), { code: 'malformed-certificate' });
  for (const text of ['', 'no base64 %', '-----BEGIN CERTIFICATE-----\n%\n-----END CERTIFICATE-----']) {
    assert.throws(() => parseCertificate(Buffer.from(text)), { code: 'malformed-certificate' });
  }
});

test('a certificate is a view of its own: changing the input afterwards changes nothing', () => {
  const bytes = Buffer.from(forge('Kept', [], root).certificate.der);
  const { fingerprint } = parseCertificate(Buffer.from(bytes));
  const copy = Buffer.from(forge('Other', [], root).certificate.der);
  const parsed = parseCertificate(copy);
  copy.fill(0);
  assert.equal(parsed.subject, 'CN=Other');
  assert.equal(parseCertificate(bytes).fingerprint, fingerprint);
});

test('parsed certificates are kept by count and by octets, the oldest use goes first', () => {
  const padded = (octets: number): Buffer =>
    forge('Padded', [extension('1.2.3.4', octetString(Buffer.alloc(octets)))], root).certificate.der;
  const bring = (count: number, der: Buffer): void => {
    for (let number = 0; number < count; number++) {
      const other = Buffer.from(der);
      // In the signature, which is for others to verify.
      other.writeUInt32BE(number, other.length - 4);
      certificateFromDer(other);
    }
  };
  const [small, large] = [padded(0), padded(15_000)];
  const kept = certificateFromDer(small);
  bring(1000, small);
  assert.equal(certificateFromDer(small), kept);
  bring(600, large);
  assert.ok(cacheSize().bytes <= 8 * 1024 * 1024);
  assert.notEqual(certificateFromDer(small), kept);
  bring(2100, small);
  const { certificates, bytes } = cacheSize();
  assert.equal(certificates, 2048);
  assert.ok(bytes < 2 * 1024 * 1024, 'what is dropped is no longer counted');
  bring(1, padded(20_000));
  assert.equal(cacheSize().bytes, bytes);
});

test('RFC 9216: every end entity reaches its own root, and the other one through the cross certificate', {
  skip,
}, () => {
  const set = join(corpus, 'rfc9216');
  const files = globSync('*.crt', { cwd: set });
  const all = files.map((name) => parseCertificate(readFileSync(join(set, name))));
  const leaves = all.filter(({ isCa }) => !isCa);
  const roots = ['rsa-ca.pem', 'ed-ca.pem'].map((name) => parseCertificate(readFileSync(join(set, name))));
  assert.equal(leaves.length, 8);
  for (const leaf of leaves) {
    for (const trusted of roots) {
      const result = validatePath({
        leaf,
        intermediates: all,
        trust: [trusted],
        at: new Date('2026-06-01'),
        purpose: 'smime',
      });
      assert.ok(result.ok, `${leaf.subject} ${trusted.subject} ${JSON.stringify(result)}`);
    }
    const elsewhere = validatePath({ leaf, intermediates: all, trust: [root.certificate], at: AT, purpose: 'smime' });
    assert.ok(!elsewhere.ok);
  }
});
