// NIST PKITS: every run of the list must end as NIST (and, for one, OpenSSL) says.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Certificate } from '../src/pki/certificate.ts';
import { parseCrls } from '../src/pki/crl.ts';
import { parseCertificate } from '../src/pki/encoded.ts';
import { ANY_POLICY } from '../src/pki/oids.ts';
import { type PathResult, validatePath } from '../src/pki/path.ts';

const dir = join(import.meta.dirname, '../../../../shared/corpus/pkits');
const skip = existsSync(dir) ? false : 'the corpus is not here';

/** The reissue of 2010 is valid until 2030. */
const AT = new Date('2026-06-01T00:00:00Z');

interface Run {
  num: string;
  title: string;
  ee: string;
  intermediates: string[];
  crls: string[];
  policy: string;
  expected: 'valid' | 'invalid';
}

function certificate(name: string): Certificate {
  return parseCertificate(readFileSync(join(dir, 'PKITS/certs', name)));
}

function validate(run: Pick<Run, 'ee' | 'intermediates' | 'crls' | 'policy'>): PathResult {
  const words = run.policy.split(' ');
  const policies = words.flatMap((word, i) => (words[i - 1] === '-policy' ? [word] : []));
  return validatePath({
    leaf: certificate(run.ee),
    intermediates: run.intermediates.map(certificate),
    trust: [certificate('TrustAnchorRootCertificate.crt')],
    crls: run.crls.flatMap((name) => parseCrls(readFileSync(join(dir, 'PKITS/crls', name)))),
    at: AT,
    purpose: 'smime-sign',
    policies: policies.map((policy) => (policy === 'anyPolicy' ? ANY_POLICY : policy)),
    explicitPolicy: words.includes('-explicit_policy'),
    inhibitMapping: words.includes('-inhibit_map'),
    inhibitAnyPolicy: words.includes('-inhibit_any'),
  });
}

// 4.14.30 is "valid" to NIST and "invalid" to OpenSSL and here: the signer of the CRL is cleared by nothing but the CRL
// that it signed itself, which somebody with a stolen, revoked CRL key could make as well.
test('all 246 PKITS runs end as expected', { skip }, () => {
  const runs: Run[] = JSON.parse(readFileSync(join(dir, 'pkits-tests.json'), 'utf8'));
  assert.equal(runs.length, 246);
  const wrong = runs.flatMap((run) => {
    const result = validate(run);
    return result.ok === (run.expected === 'valid') ? [] : [`${run.num} ${run.title} ${JSON.stringify(result)}`];
  });
  assert.deepEqual(wrong, []);
});

test('4.1.5: DSA parameters are inherited from the issuer, and the result is marked weak', { skip }, () => {
  const result = validatePath({
    leaf: certificate('ValidDSAParameterInheritanceTest5EE.crt'),
    intermediates: ['DSAParametersInheritedCACert.crt', 'DSACACert.crt'].map(certificate),
    trust: [certificate('TrustAnchorRootCertificate.crt')],
    at: AT,
    purpose: 'smime',
  });
  assert.ok(result.ok, JSON.stringify(result));
  assert.deepEqual(result.weaknesses, ['sha1-signature', 'weak-key']);
});
