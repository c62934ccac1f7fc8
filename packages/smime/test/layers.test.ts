// Properties over random MIME and random layers: what goes in comes out, in whatever order it was wrapped and however the BER was cut.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { BerCursor, type BerNode, berChildren } from '../src/cms/ber.ts';
import { CONTENT_TYPE, ZLIB_COMPRESS } from '../src/cms/oids.ts';
import { contentInfo } from '../src/cms/pieces.ts';
import { type CipherName, encodeBase64, open, openObject, type ProtectOptions, protect } from '../src/index.ts';
import { toCrlf, typeOf } from '../src/mime/canonical.ts';
import { boundaryOf } from '../src/mime/content-type.ts';
import { type Entity, firstValue, readEntity } from '../src/mime/header.ts';
import { readMultipart } from '../src/mime/multipart.ts';
import { decodeTransfer } from '../src/mime/transfer.ts';
import { algorithmIdentifier, explicit, integer, octetString, oid, sequence } from '../src/pki/der-write.ts';
import { ca, keysOf, mail, NOW, person } from './people.ts';

const [alice, bob] = [person('alice'), person('bob')];
const base = { keys: keysOf(alice), now: NOW };
const options = { keys: keysOf(bob), recipients: [bob.certificate], trust: [ca], at: NOW };
const sign = { certificate: alice.certificate };

const LAYERS: Readonly<Record<string, (message: Buffer) => Promise<Buffer> | Buffer>> = {
  detached: (message) => protect(message, { ...base, sign }),
  opaque: (message) => protect(message, { ...base, sign: { ...sign, opaque: true } }),
  cbc: (message) => encrypt(message, 'aes-256-cbc'),
  gcm: (message) => encrypt(message, 'aes-256-gcm'),
  compressed: compress,
};

function encrypt(message: Buffer, cipher: CipherName): Promise<Buffer> {
  return protect(message, { ...base, encrypt: { recipients: [bob.certificate], cipher } });
}

/** A message with the content fields and the body inside a CompressedData (RFC 3274); the engine only reads these. */
function compress(message: Buffer): Buffer {
  const { fields, body } = readEntity(message);
  const describes = ({ name }: { name: string }) => name.startsWith('content-') || name === 'mime-version';
  const inner = Buffer.concat([...fields.filter(describes).map(({ raw }) => raw), Buffer.from('\r\n'), body]);
  const inside = sequence(oid(CONTENT_TYPE.data), explicit(0, octetString(deflateSync(inner))));
  const object = contentInfo(CONTENT_TYPE.compressedData, [
    sequence(integer(0), algorithmIdentifier(ZLIB_COMPRESS), inside),
  ]);
  const type =
    'MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=compressed-data\r\nContent-Transfer-Encoding: base64\r\n\r\n';
  const outer = fields.filter((field) => !describes(field)).map(({ raw }) => raw);
  return Buffer.concat([...outer, Buffer.from(type), encodeBase64(Buffer.concat(object))]);
}

test('layers in any order open down to the content, and are told from the outside in', async () => {
  const layers = fc.array(fc.constantFrom(...Object.keys(LAYERS)), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(layers, async (names) => {
      let message = mail(alice.address, 'the text\r\n');
      for (const name of names.toReversed()) message = (await LAYERS[name]?.(message)) ?? message;
      const shown: string[] = [];
      const onContent = (octets: Buffer): void => void shown.push(octets.toString());
      const result = await open(message, { ...options, strip: 'all', onContent });
      assert.ok(result.kind === 'opened');
      assert.ok(readEntity(result.message).body.equals(Buffer.from('the text\r\n')));
      assert.equal(shown.length, names.length);
      const { layers: told, verified, encrypted } = result.verdict;
      assert.deepEqual(
        told.map((layer) =>
          layer.kind === 'signed' ? layer.form : layer.kind === 'encrypted' ? layer.form : layer.kind,
        ),
        names.map((name) => (name === 'cbc' ? 'enveloped' : name === 'gcm' ? 'auth-enveloped' : name)),
      );
      const signed = names.some((name) => name === 'detached' || name === 'opaque');
      assert.equal(verified, signed);
      assert.equal(encrypted, names.includes('cbc') || names.includes('gcm'));
    }),
    { numRuns: 60 },
  );
});

const octets = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const text = fc
  .string({ unit: 'grapheme', maxLength: 200 })
  .map((words) => Buffer.from(`${words.replaceAll('\0', '')}\n`));

/** A leaf as it may come from a mail program, whatever its encoding. */
const leaf = fc.oneof(
  text.map((body) => part('text/plain; charset=utf-8', '8bit', body)),
  octets.map((body) => part('application/octet-stream; name=a.bin', 'base64', encodeBase64(body))),
  fc.constant(part('text/plain', '7bit', Buffer.from('From here\r\n.\r\n--b\r\n'))),
);

function part(type: string, encoding: string, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`Content-Type: ${type}\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n`), body]);
}

function multipart(depth: number, parts: readonly Buffer[]): Buffer {
  const delimiter = `--=_level${depth}`;
  const body = parts.flatMap((one) => [Buffer.from(`${delimiter}\r\n`), one, Buffer.from('\r\n')]);
  const head = `Content-Type: multipart/mixed; boundary="=_level${depth}"\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), ...body, Buffer.from(`${delimiter}--\r\n`)]);
}

const tree = fc.letrec<{ entity: Buffer; inner: Buffer; leaf: Buffer }>((tie) => ({
  leaf,
  inner: fc.oneof(
    tie('leaf'),
    fc.array(tie('leaf'), { minLength: 1, maxLength: 3 }).map((parts) => multipart(1, parts)),
  ),
  entity: fc.oneof(
    tie('leaf'),
    fc.array(tie('inner'), { minLength: 1, maxLength: 3 }).map((parts) => multipart(2, parts)),
  ),
})).entity;

/** Decoded leaves in order; text with one kind of line end. */
function leaves(entity: Entity): string[] {
  const type = typeOf(entity.fields);
  const boundary = type.value.startsWith('multipart/') ? boundaryOf(type) : undefined;
  if (boundary !== undefined) {
    return readMultipart(entity.body, boundary).parts.flatMap((raw) => leaves(readEntity(raw)));
  }
  const body = decodeTransfer(entity.body, firstValue(entity.fields, 'content-transfer-encoding'));
  return [`${type.value} ${(type.value === 'text/plain' ? toCrlf(body) : body).toString('base64')}`];
}

test('random MIME trees come back with the octets of every leaf', async () => {
  const forms: readonly Omit<ProtectOptions, 'keys' | 'now'>[] = [
    { sign },
    { sign: { ...sign, opaque: true } },
    { encrypt: { recipients: [bob.certificate] } },
    { sign, encrypt: { recipients: [bob.certificate], cipher: 'aes-128-gcm' } },
  ];
  await fc.assert(
    fc.asyncProperty(tree, fc.constantFrom(...forms), async (entity, form) => {
      const message = Buffer.concat([Buffer.from(`From: ${alice.address}\r\nMIME-Version: 1.0\r\n`), entity]);
      const made = await protect(message, { ...base, ...form });
      const result = await open(made, { ...options, strip: 'all' });
      assert.ok(result.kind === 'opened');
      assert.equal(result.verdict.verified, form.sign !== undefined);
      assert.deepEqual(leaves(readEntity(result.message)), leaves(readEntity(message)));
    }),
    { numRuns: 80 },
  );
});

const STRINGS: ReadonlySet<number> = new Set([0x04, 0x80]);

/** The same object in BER, certificates and attributes too: lengths indefinite, strings in chunks as `cut` decides. */
function rewrite(node: BerNode, cut: () => number): Buffer {
  if (STRINGS.has(node.tag) && node.content.length > 1) return chunks(node, cut);
  if ((node.tag & 0x20) === 0) return node.bytes;
  return indefinite(
    node.tag,
    berChildren(node, 1000).map((child) => rewrite(child, cut)),
  );
}

const indefinite = (tag: number, inside: readonly Buffer[]): Buffer =>
  Buffer.concat([Buffer.of(tag, 0x80), ...inside, Buffer.alloc(2)]);

function chunks({ tag, content }: BerNode, cut: () => number): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < content.length; ) {
    const end = Math.min(content.length, at + cut());
    pieces.push(octetString(content.subarray(at, end)));
    at = end;
  }
  return indefinite(tag | 0x20, pieces);
}

test('how strings are cut into chunks and lengths are written does not matter', async () => {
  const message = mail(alice.address, 'the text, long enough for a few chunks\r\n');
  for (const form of [
    { encrypt: { recipients: [bob.certificate] } },
    { encrypt: { recipients: [bob.certificate], cipher: 'aes-256-gcm' } },
    { sign: { ...sign, opaque: true } },
  ] as const) {
    const object = Buffer.from(readEntity(await protect(message, { ...base, ...form })).body.toString(), 'base64');
    const plain = await openObject(object, options);
    assert.ok(plain.kind === 'opened');
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 }), async (sizes) => {
        let index = 0;
        const cut = (): number => sizes[index++ % sizes.length] ?? 1;
        const written = rewrite(new BerCursor(object).next(), cut);
        assert.ok(written.length > object.length);
        const result = await openObject(written, options);
        assert.ok(result.kind === 'opened' && result.content.equals(plain.content));
        assert.equal(result.verdict.verified, plain.verdict.verified);
      }),
      { numRuns: 30 },
    );
  }
});
