// A sample of all that through the real command, in processes of its own: exit codes, the JSON, and what people's scripts hang on.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Case } from './case.ts';
import { pathOf, readJson } from './material.ts';

const command = join(import.meta.dirname, '../../apps/cli/bin/sealpost.mjs');

function sealpost(...args: readonly string[]): {
  readonly status: number | null;
  readonly json: Record<string, unknown>;
} {
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...args, '--json'], { encoding: 'utf8' });
  assert.ok(stdout !== '', stderr);
  return { status, json: JSON.parse(stdout) };
}

interface ObjectCase {
  readonly id: number;
  readonly kind: string;
  readonly openssl36_ok: boolean;
  readonly plaintext_sha256: string | null;
  readonly der: string;
  readonly key?: string;
  readonly cert?: string;
  readonly content?: string;
}

interface Run {
  readonly num: string;
  readonly ee: string;
  readonly intermediates: readonly string[];
  readonly crls: readonly string[];
  readonly policy: string;
  readonly expected: string;
}

/** Every fifth object and every twelfth path: chosen by a fixed step, not by hand. */
export function commandCases(): Case[] {
  const objects = readJson<readonly ObjectCase[]>('cms/cases.json').filter((_, index) => index % 5 === 0);
  const runs = readJson<readonly Run[]>('pkits/pkits-tests.json').filter((_, index) => index % 12 === 0);
  return [
    ...objects.map((entry) => ({ set: 'command', name: `smime open ${entry.id}`, run: () => openObject(entry) })),
    ...runs.map((run, index) => ({ set: 'command', name: `pki check ${index} ${run.num}`, run: () => checkPath(run) })),
  ];
}

function openObject({ kind, openssl36_ok, plaintext_sha256, der, key, cert, content }: ObjectCase): void {
  const file = (name: string, value: string | undefined) =>
    value === undefined ? [] : [`--${name}`, pathOf(`cms/${value}`)];
  const files = [...file('in', der), ...file('key', key), ...file('cert', cert), ...file('content', content)];
  const { status, json } = sealpost('smime', 'open', ...files, '--no-path', '--allow-legacy', '--at', '2026-02-01');
  assert.equal(status, json.ok ? 0 : 1);
  assert.equal(json.ok, json.error === undefined);
  if (plaintext_sha256 !== null) assert.equal(json.contentSha256, plaintext_sha256);
  if (kind.startsWith('decrypt')) assert.equal(json.ok, true);
  if (kind === 'negative' && !openssl36_ok) assert.equal(json.verified, false);
}

const flags: Readonly<Record<string, string>> = {
  '-explicit_policy': '--initial-explicit-policy',
  '-inhibit_map': '--initial-policy-mapping-inhibit',
  '-inhibit_any': '--initial-any-policy-inhibit',
};

function checkPath({ ee, intermediates, crls, policy, expected }: Run): void {
  const certificate = (name: string) => pathOf(`pkits/PKITS/certs/${name}`);
  const words = policy.split(' ').map((word) => flags[word] ?? word.replace(/^-policy$/, '--policy'));
  const { status, json } = sealpost(
    'pki',
    'check',
    '--leaf',
    certificate(ee),
    ...intermediates.flatMap((name) => ['--intermediate', certificate(name)]),
    '--trust',
    certificate('TrustAnchorRootCertificate.crt'),
    ...crls.flatMap((name) => ['--crl', pathOf(`pkits/PKITS/crls/${name}`)]),
    ...words.filter(Boolean),
    '--at',
    '2026-06-01',
    '--purpose',
    'smime',
  );
  assert.equal(json.ok, expected === 'valid', JSON.stringify(json));
  assert.equal(status, json.ok ? 0 : 1);
  assert.equal('failure' in json, !json.ok);
}
