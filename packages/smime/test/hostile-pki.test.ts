// Certificates that were made to hurt: every one ends in a certificate or a code, in bounded time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Certificate, certificateFromDer, MAX_CERTIFICATE_BYTES } from '../src/pki/certificate.ts';
import { context } from '../src/pki/der.ts';
import { explicit, implicit, oid, sequence, tlv } from '../src/pki/der-write.ts';
import { parseCertificates } from '../src/pki/encoded.ts';
import { lintCertificate } from '../src/pki/lint.ts';
import { EXTENSION } from '../src/pki/oids.ts';
import { validatePath } from '../src/pki/path.ts';
import { mayEncryptTo, mayVerifyWith } from '../src/pki/purpose.ts';
import { AT, CA, extension, forge } from './forge.ts';

const mail = (count: number): Buffer =>
  extension(
    EXTENSION.subjectAltName,
    sequence(...Array.from({ length: count }, (_, i) => implicit(1, Buffer.from(`a${i}@b.test`)))),
  );
const policies = (...oids: string[]): Buffer =>
  extension(EXTENSION.certificatePolicies, sequence(...oids.map((one) => sequence(oid(one)))));

const root = forge('Root', [CA]);
const rich = forge(
  'Rich',
  [
    mail(2),
    policies('1.2.3'),
    extension(EXTENSION.extendedKeyUsage, sequence(oid('1.3.6.1.5.5.7.3.4'))),
    extension(EXTENSION.keyUsage, Buffer.from('03020520', 'hex')),
  ],
  root,
);

/** Touches everything that reads a certificate lazily; only SmimeError may come out. */
function exercise(certificate: Certificate): void {
  void certificate.subject;
  void certificate.issuer;
  mayEncryptTo(certificate, AT);
  mayVerifyWith(certificate, AT);
  lintCertificate(certificate);
  validatePath({ leaf: certificate, trust: [root.certificate], at: AT, purpose: 'smime', explicitPolicy: true });
  validatePath({
    leaf: rich.certificate,
    intermediates: [certificate],
    trust: [certificate],
    at: AT,
    purpose: 'smime',
  });
}

function survives(bytes: Buffer): void {
  let certificate: Certificate;
  try {
    certificate = certificateFromDer(bytes);
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'malformed-certificate');
    return;
  }
  exercise(certificate);
}

test('truncated at any place a certificate is malformed', () => {
  const { der } = rich.certificate;
  for (let length = 0; length < der.length; length++) {
    assert.throws(() => certificateFromDer(der.subarray(0, length)), { code: 'malformed-certificate' });
  }
  assert.throws(() => certificateFromDer(Buffer.concat([der, Buffer.of(0)])), { code: 'malformed-certificate' });
});

test('any change of a certificate is malformed or no longer signed', () => {
  const { der } = rich.certificate;
  fc.assert(
    fc.property(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const bytes = Buffer.from(der);
      bytes[at] = (bytes[at] ?? 0) ^ flip;
      survives(bytes);
      let changed: Certificate;
      try {
        changed = certificateFromDer(bytes);
      } catch {
        return;
      }
      assert.ok(!validatePath({ leaf: changed, trust: [root.certificate], at: AT, purpose: 'smime' }).ok);
    }),
    { numRuns: 2000 },
  );
});

test('bytes copied over others, so that lengths lie, break nothing', () => {
  const { der } = rich.certificate;
  const place = fc.nat(der.length - 1);
  fc.assert(
    fc.property(place, place, fc.nat(40), (from, to, length) => {
      const bytes = Buffer.from(der);
      der.copy(bytes, to, from, from + length);
      survives(bytes);
    }),
    { numRuns: 2000 },
  );
});

test('nesting has no depth that hurts', () => {
  let nested: Buffer = Buffer.of(5, 0);
  for (let i = 0; i < 10_000; i++) nested = sequence(nested);
  assert.throws(() => certificateFromDer(nested), { code: 'malformed-certificate' });
  survives(
    forge('Deep', [extension(EXTENSION.subjectAltName, nested), extension(EXTENSION.nameConstraints, nested)], root)
      .certificate.der,
  );
});

test('sizes and counts above the limits have a code', () => {
  assert.throws(() => certificateFromDer(Buffer.alloc(MAX_CERTIFICATE_BYTES + 1, 0x30)), { code: 'limit-exceeded' });
  assert.throws(() => certificateFromDer(forge('Many', [mail(1025)], root).certificate.der), {
    code: 'malformed-certificate',
  });
  const bundle = Buffer.concat(Array.from({ length: 4097 }, () => Buffer.from('3000', 'hex')));
  assert.throws(() => parseCertificates(bundle), { code: 'limit-exceeded' });
});

test('names times constraints are bounded', () => {
  const bases = Array.from({ length: 800 }, (_, i) => sequence(implicit(1, Buffer.from(`h${i}.test`))));
  const ca = forge('C', [CA, extension(EXTENSION.nameConstraints, sequence(tlv(context(1, true), ...bases)))]);
  const leaf = forge('L', [mail(1000)], ca);
  const result = validatePath({ leaf: leaf.certificate, trust: [ca.certificate], at: AT, purpose: 'smime' });
  assert.deepEqual(result, { ok: false, failure: { code: 'name-constraints', depth: 0 } });
});

// CVE-2023-0464: each level maps every policy to every other; a tree doubles on each, the graph does not.
test('policy mappings that multiply on every level cost linear time', () => {
  const all = Array.from({ length: 12 }, (_, i) => `1.2.3.${i}`);
  const mappings = extension(
    EXTENSION.policyMappings,
    sequence(...all.flatMap((from) => all.map((to) => sequence(oid(from), oid(to))))),
  );
  let issuer = root;
  const intermediates: Certificate[] = [];
  for (let i = 0; i < 13; i++) {
    issuer = forge(`Level ${i}`, [CA, policies(...all), mappings], issuer);
    intermediates.push(issuer.certificate);
  }
  const leaf = forge('Leaf', [policies(...all)], issuer);
  const started = process.cpuUsage();
  const request = {
    leaf: leaf.certificate,
    intermediates,
    trust: [root.certificate],
    at: AT,
    purpose: 'smime',
  } as const;
  assert.ok(validatePath({ ...request, explicitPolicy: true, policies: ['1.2.3.5'] }).ok);
  assert.ok(!validatePath({ ...request, explicitPolicy: true, policies: ['1.2.4'] }).ok);
  assert.ok(process.cpuUsage(started).user < 1_000_000);
});

test('a malformed name in a constraint or an alternative name fails the path and throws nothing', () => {
  const broken = explicit(4, tlv(0x30, Buffer.from('3103300101', 'hex')));
  assert.throws(() => forge('X', [extension(EXTENSION.subjectAltName, sequence(broken))], root), {
    code: 'malformed-certificate',
  });
  const subtree = sequence(tlv(context(0, true), sequence(broken)));
  const ca = forge('N', [CA, extension(EXTENSION.nameConstraints, subtree)]);
  const result = validatePath({
    leaf: forge('L', [], ca).certificate,
    trust: [ca.certificate],
    at: AT,
    purpose: 'smime',
  });
  assert.deepEqual(result, { ok: false, failure: { code: 'name-constraints', depth: 1 } });
});
