// Messages by other implementations with what must happen to each. Present beside the checkout or not: then skipped.
import assert from 'node:assert/strict';
import { createHash, createPrivateKey, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  type Certificate,
  isObject,
  localKeys,
  type Opened,
  type OpenedObject,
  open,
  openObject,
  parseCertificate,
  parseCertificates,
} from '../src/index.ts';

const ROOT = new URL('../../../../shared/corpus/', import.meta.url);
const skip = existsSync(ROOT) ? false : 'no corpus beside this checkout';

interface Case {
  readonly id: number;
  readonly source: string;
  readonly kind: string;
  readonly plaintext_sha256: string | null;
  readonly der: string;
  readonly key?: string;
  readonly cert?: string;
  readonly content?: string;
}

/** Cases that end otherwise than their manifest says; each is explained in docs/interop.md. */
const EXCEPTIONS: ReadonlyMap<RegExp, string> = new Map([
  [/gnupg\/tests\/cms\/text-[12]\.(osig|dsig)\.der$/, 'signed attributes without content-type'],
  [/rfc4134\/4\.6\.bin$/, 'second signer with inherited DSA parameters'],
]);

const exceptionOf = (file: string) => [...EXCEPTIONS].find(([pattern]) => pattern.test(file))?.[1];
/** RFC 4134 §4.3 signs a content that the manifest names in words only. */
const besides = (file: string) =>
  file.endsWith('rfc4134/4.3.bin') ? read('rfc4134/rfc4134/ExContent.bin') : undefined;
const read = (path: string) => readFileSync(new URL(path, ROOT));
const cases: readonly Case[] = skip ? [] : JSON.parse(read('cms/cases.json').toString());

/** Clear of every doubt: verified, and nothing to be said about it. */
function isClean({ verdict }: Exclude<Opened | OpenedObject, { kind: 'plain' }>): boolean {
  return verdict.verified && verdict.weaknesses.length === 0;
}

function assertCase(kind: string, result: Exclude<Opened | OpenedObject, { kind: 'plain' }>): void {
  if (kind.includes('negative')) assert.equal(isClean(result), false);
  if (kind.startsWith('decrypt') || kind === 'verify') assert.equal(result.kind, 'opened');
  if (kind === 'verify') {
    const { signers, verified, weaknesses } = result.verdict;
    assert.deepEqual(
      signers.filter(({ integrity }) => integrity !== 'valid'),
      [],
    );
    const weak = weaknesses.some((weakness) => weakness !== 'cbc-without-integrity');
    assert.equal(verified, !weak);
  }
}

const pems = ['44', '65', '87'].map((size) => `bouncycastle/pkix/cert/mldsa/ML-DSA-${size}.pem`);
const known: Certificate[] = skip ? [] : pems.flatMap((file) => parseCertificates(read(file)));

test('bare objects end as OpenSSL ended them', { skip }, async (t) => {
  for (const entry of cases) {
    await t.test(
      `${entry.id} ${entry.kind} ${entry.source}`,
      { skip: exceptionOf(entry.source) ?? false },
      async () => {
        const key = entry.key === undefined ? undefined : createPrivateKey(read(`cms/${entry.key}`));
        const certificate = entry.cert === undefined ? undefined : parseCertificate(read(`cms/${entry.cert}`));
        const content = entry.content === undefined ? besides(entry.source) : read(`cms/${entry.content}`);
        const holders = key !== undefined && certificate !== undefined ? [{ certificate, privateKey: key }] : [];
        const bare = key !== undefined && certificate === undefined ? [key] : [];
        const result = await openObject(
          read(`cms/${entry.der}`),
          {
            keys: localKeys(holders),
            recipients: holders.map((holder) => holder.certificate),
            secrets: { privateKeys: bare },
            trust: [],
            intermediates: known,
            path: false,
            at: new Date('2026-02-01'),
            allowLegacy: true,
          },
          content,
        );
        // Faults of path, date and other header fields are judged on the whole messages below.
        if (entry.kind !== 'negative') assertCase(entry.kind, result);
        if (entry.plaintext_sha256 === null || result.kind !== 'opened') return;
        const digest = createHash('sha256')
          .update(content ?? result.content)
          .digest('hex');
        assert.equal(digest, entry.plaintext_sha256);
      },
    );
  }
});

const SETS = new Set(['rfc4134', 'thunderbird', 'openssl', 'gnupg', 'lamps-ml-dsa', 'lamps-ml-kem', 'bouncycastle']);

test('whole messages end as the manifest says', { skip }, async (t) => {
  const holders = new Map<string, { certificate: Certificate; privateKey: KeyObject }>();
  for (const { key, cert } of cases) {
    if (key === undefined || cert === undefined) continue;
    const certificate = parseCertificate(read(`cms/${cert}`));
    holders.set(certificate.fingerprint, { certificate, privateKey: createPrivateKey(read(`cms/${key}`)) });
  }
  const entries = [...holders.values()];
  for (const line of read('MANIFEST.tsv').toString().trim().split('\n').slice(1)) {
    const [set = '', file = '', kind = '', keyFile = '', password = '', anchor = ''] = line.split('\t');
    if (!SETS.has(set)) continue;
    await t.test(`${kind} ${file}`, { skip: exceptionOf(file) ?? false }, async () => {
      const bytes = read(file);
      const trust =
        existsSync(new URL(anchor, ROOT)) && anchor !== '-' && !anchor.startsWith('(')
          ? parseCertificates(read(anchor))
          : [];
      const bare = /\.(pem|priv)$/.test(keyFile) ? [createPrivateKey(read(keyFile))] : [];
      const shared = keyFile.startsWith('hex:') ? [{ key: Buffer.from(keyFile.slice(4), 'hex') }] : [];
      const options = {
        keys: localKeys(entries),
        recipients: entries.map(({ certificate }) => certificate),
        secrets: { privateKeys: bare, keys: shared, passwords: [Buffer.from(password)] },
        trust,
        intermediates: trust,
        at: new Date('2026-02-01'),
        allowLegacy: true,
      };
      const whole = file.endsWith('.eml') || !isObject(bytes);
      const result = whole ? await open(bytes, options) : await openObject(bytes, options, besides(file));
      if (result.kind !== 'plain') assertCase(kind, result);
      else assert.ok(kind !== 'verify' && !kind.startsWith('decrypt'));
    });
  }
});
