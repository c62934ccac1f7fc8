// Certificate paths: NIST PKITS with its policy inputs, and the crossed roots of RFC 9216.

import assert from 'node:assert/strict';
import {
  type Certificate,
  type PathResult,
  parseCertificate,
  parseCertificates,
  parseCrls,
  validatePath,
} from '@sealpost/smime';
import type { Case } from './case.ts';
import { read, readJson, rowsOf } from './material.ts';

const anyPolicy = '2.5.29.32.0';

interface Run {
  readonly num: string;
  readonly title: string;
  readonly ee: string;
  readonly intermediates: readonly string[];
  readonly crls: readonly string[];
  readonly policy: string;
  readonly expected: 'valid' | 'invalid';
}

export function pkitsCases(): Case[] {
  return readJson<readonly Run[]>('pkits/pkits-tests.json').map((run, index) => ({
    set: 'pkits',
    name: `${run.num} run ${index}`,
    run: () => {
      const result = validate(run);
      assert.equal(result.ok, run.expected === 'valid', `${run.title}: ${failureOf(result)}`);
    },
  }));
}

function validate({ ee, intermediates, crls, policy }: Run): PathResult {
  const words = policy.split(' ');
  const policies = words.filter((_, index) => words[index - 1] === '-policy');
  return validatePath({
    leaf: pkitsCertificate(ee),
    intermediates: intermediates.map(pkitsCertificate),
    trust: [pkitsCertificate('TrustAnchorRootCertificate.crt')],
    crls: crls.flatMap((name) => parseCrls(read(`pkits/PKITS/crls/${name}`))),
    // The reissue of 2010 holds until the end of 2030.
    at: new Date('2026-06-01T00:00:00Z'),
    purpose: 'smime',
    policies: policies.map((name) => (name === 'anyPolicy' ? anyPolicy : name)),
    explicitPolicy: words.includes('-explicit_policy'),
    inhibitMapping: words.includes('-inhibit_map'),
    inhibitAnyPolicy: words.includes('-inhibit_any'),
  });
}

function pkitsCertificate(name: string): Certificate {
  return parseCertificate(read(`pkits/PKITS/certs/${name}`));
}

/** Each end entity must hold under its own root, and through the cross-certificates under the other one. */
export function crossedRootCases(): Case[] {
  const roots = ['rfc9216/rsa-ca.pem', 'rfc9216/ed-ca.pem'].map((file) => parseCertificates(read(file)));
  const crossed = [
    'rfc9216/3-3-rsa-certification-authority-cross-signed-certificate.crt',
    'rfc9216/6-3-ed25519-certification-authority-cross-signed-certificate.crt',
  ].map((file) => parseCertificate(read(file)));
  return rowsOf('rfc9216')
    .filter(({ kind }) => kind === 'path')
    .map(({ set, file }) => ({
      set,
      name: file,
      run: () => {
        for (const trust of roots) {
          const at = new Date('2026-06-01T00:00:00Z');
          const leaf = parseCertificate(read(file));
          const result = validatePath({ leaf, intermediates: crossed, trust, at, purpose: 'smime' });
          assert.ok(result.ok, failureOf(result));
        }
      },
    }));
}

function failureOf(result: PathResult): string {
  return result.ok ? 'valid' : `${result.failure.code} at ${result.failure.depth}`;
}
