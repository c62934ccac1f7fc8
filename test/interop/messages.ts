// Messages and CMS objects by other implementations, opened as the command opens them, and compared with what the manifest says.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type OpenFlags, type OpenReport, openFile } from '../../apps/cli/src/smime/open-file.ts';
import type { Case } from './case.ts';
import { pathOf, type Row, readJson, rowsOf } from './material.ts';

/** After every signature of the sets was made and before the certificates that count run out. */
const AT = new Date('2026-02-01T00:00:00Z');

const people = ['Alice', 'Bob', 'Dave', 'Eve'].map((name) =>
  pathOf(`thunderbird/mailnews/test/data/smime/${name}.p12`),
);

/** Content of the detached signatures that come as bare objects. */
const contents: Readonly<Record<string, string>> = {
  'rfc4134/rfc4134/4.3.bin': 'rfc4134/rfc4134/ExContent.bin',
  'gnupg/tests/cms/text-1.dsig.der': 'gnupg/tests/cms/text-1.txt',
};

const sets = ['rfc4134', 'thunderbird', 'openssl', 'gnupg', 'bouncycastle', 'lamps-ml-dsa', 'lamps-ml-kem'];

/** Every row of the manifest's CMS sets; two rows of one file differ in the key. */
export function messageCases(): Case[] {
  const scratch = mkdtempSync(join(tmpdir(), 'sealpost-interop-'));
  process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
  return rowsOf(...sets).map((row) => ({
    set: row.set,
    name: row.set === 'lamps-ml-kem' ? row.key : row.file,
    run: async () => {
      const out = join(scratch, 'content');
      rmSync(out, { force: true });
      compare(row, await openFile({ ...flagsOf(row, scratch), out }), existsSync(out) ? readFileSync(out) : undefined);
    },
  }));
}

function flagsOf(row: Row, scratch: string): OpenFlags {
  const content = contents[row.file];
  const anchors = existsSync(pathOf(row.anchor)) && row.anchor !== '-' ? [pathOf(row.anchor)] : [];
  return {
    in: pathOf(row.file),
    trust: anchors,
    at: AT,
    path: true,
    allowLegacy: true,
    ...(content === undefined ? {} : { content: pathOf(content) }),
    ...keyFlags(row, scratch),
  };
}

function keyFlags({ set, key, password }: Row, scratch: string): Partial<OpenFlags> {
  const secret = join(scratch, 'secret');
  if (key.startsWith('hex:')) {
    writeFileSync(secret, key.slice(4));
    return { kek: [secret] };
  }
  if (set === 'thunderbird' || key === 'password') writeFileSync(secret, password);
  if (set === 'thunderbird') return { p12: people, passwordFile: [secret] };
  if (key === 'password') return { passwordRecipient: [secret] };
  return key === '-' ? {} : { key: [pathOf(key)] };
}

function compare({ set, kind, expected }: Row, report: OpenReport, content: Buffer | undefined): void {
  const verdict = JSON.stringify(report);
  const clean = report.verified && report.weaknesses.length === 0;
  if (kind.includes('negative')) assert.ok(!clean, verdict);
  // What OpenSSL's own negatives encrypt is malformed: nothing of it may come out.
  if (kind === 'negative' && set === 'openssl') assert.ok(!report.encrypted, verdict);
  if (kind.startsWith('decrypt')) assert.ok(report.ok && report.encrypted, verdict);
  const [, text] = /plaintext (?:starts )?\\?"(.+?)\\?"|-> \\?"(.+?)\\?"/.exec(expected)?.filter(Boolean) ?? [];
  if (kind.startsWith('decrypt') && text !== undefined) assert.ok(content?.includes(text.replace(/\\$/, '')), text);
  if (kind === 'verify') assertVerified(report, verdict);
}

/** The signature holds, and nothing but named weaknesses of its algorithms stands against a clean verdict. */
function assertVerified(report: OpenReport, verdict: string): void {
  assert.ok(report.ok && report.signed, verdict);
  const signers = report.layers.flatMap((layer) => (layer.kind === 'signed' ? layer.signers : [])) as {
    readonly integrity: string;
  }[];
  assert.ok(signers.length > 0 && signers.every(({ integrity }) => integrity === 'valid'), verdict);
  const against = report.weaknesses.filter((weakness) => weakness !== 'cbc-without-integrity');
  assert.ok(
    against.every((weakness) => ['sha1', 'dsa', 'small-key'].includes(weakness)),
    verdict,
  );
  assert.equal(report.verified, against.length === 0, verdict);
}

interface ObjectCase {
  readonly id: number;
  readonly kind: string;
  readonly source: string;
  readonly openssl36_ok: boolean;
  readonly plaintext_sha256: string | null;
  readonly der: string;
  readonly key?: string;
  readonly cert?: string;
  readonly content?: string;
}

/** The bare objects: OpenSSL's verdict on the object alone, and the hash of what it holds. */
export function objectCases(): Case[] {
  return readJson<readonly ObjectCase[]>('cms/cases.json').map((entry) => ({
    set: 'cms',
    name: `${entry.id} ${entry.source}`,
    run: async () => compareObject(entry, await openFile(objectFlags(entry))),
  }));
}

function objectFlags({ source, der, key, cert, content = contents[source] }: ObjectCase): OpenFlags {
  const beside = (file: string) => pathOf(file.includes('/') ? file : `cms/${file}`);
  // The ML-DSA examples name signers whose certificates come with the bouncycastle set.
  const size = /mldsa(44|65|87)/.exec(source)?.[1];
  const certs = [
    ...(cert === undefined ? [] : [beside(cert)]),
    ...(size === undefined ? [] : [pathOf(`bouncycastle/pkix/cert/mldsa/ML-DSA-${size}.pem`)]),
  ];
  return {
    in: beside(der),
    path: false,
    allowLegacy: true,
    at: AT,
    cert: certs,
    ...(key === undefined ? {} : { key: [beside(key)] }),
    ...(content === undefined ? {} : { content: beside(content) }),
  };
}

function compareObject(entry: ObjectCase, report: OpenReport): void {
  const verdict = JSON.stringify(report);
  if (entry.plaintext_sha256 !== null) assert.equal(report.contentSha256, entry.plaintext_sha256, verdict);
  if (entry.kind === 'verify') assertVerified(report, verdict);
  if (entry.kind.startsWith('decrypt')) assert.ok(report.ok && report.encrypted, verdict);
  // Where OpenSSL has nothing against the object, what is wrong lies outside of it: path, header fields.
  if (entry.kind === 'negative' && !entry.openssl36_ok) assert.ok(!report.verified && !report.encrypted, verdict);
}
