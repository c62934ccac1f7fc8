// Changes to mail as lines, fields and delimiters, and to the CMS object inside a base64 body.

import { encodeBase64 } from '../../packages/smime/src/mime/transfer.ts';
import { mutateOctets } from './mutate-octets.ts';
import { mutateTlv } from './mutate-tlv.ts';
import type { Random } from './random.ts';

const LINES = [
  '',
  'Content-Type: multipart/mixed; boundary=b',
  'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary="b"',
  'Content-Type: multipart/signed; boundary*0="b"; boundary*1=c',
  'Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m',
  'Content-Type: application/x-pkcs7-mime; smime-type=signed-data',
  'Content-Type: application/pkcs7-signature; name="smime.p7s"',
  'Content-Type: application/octet-stream; name="a.p7m"',
  "Content-Type: text/plain; charset*=utf-8''%61; name*0*=x'y'%zz; name*1=\"\\\\\"",
  'Content-Type: message/rfc822',
  'Content-Type: multipart/report; report-type=delivery-status; boundary=--b',
  'Content-Type: text/calendar; method=REQUEST',
  'Content-Transfer-Encoding: base64',
  'Content-Transfer-Encoding: quoted-printable',
  'Content-Transfer-Encoding: 8bit',
  'Content-Transfer-Encoding: binary',
  'Content-Disposition: attachment; filename="smime.p7m"',
  'MIME-Version: 1.0',
  'From: alice@example.test',
  'From: "A \\" B" <alice@example.test>, group: bob@example.test;, (x) carol@[127.0.0.1]',
  'From: <@a,@b:alice@example.test>',
  'Sender: bob@example.test',
  'Date: Mon, 1 Jun 2026 12:00:00 +0000 (x)',
  'Subject: =?utf-8?q?x?=',
  ' folded',
  '\t',
  '--b',
  '--b--',
  '--b \t',
  '--',
  '.',
  'From x',
  '=3D=\t',
  '=',
  'grüße',
  '\u0000',
  'x'.repeat(1200),
  '-----BEGIN PGP MESSAGE-----',
  'TUlBR0NTcUdTSWIzRFFFSEFxQ0FNSUFDQVFFeER6QU5CZ2xnaGtnQlpRTUVBZ0VGQURDQUJna3Foa2lHOXcwQkJ3R2dnQ1NBQklBQQ==',
].map((line) => Buffer.from(line));

const ENDS = ['\r\n', '\n', '\r', '\r\r\n', '\n\n', ''].map((end) => Buffer.from(end));

type Change = (lines: Buffer[], other: Buffer, random: Random) => void;

const changes: readonly Change[] = [
  function insert(lines, _, random) {
    lines.splice(random.below(lines.length + 1), 0, Buffer.concat([random.pick(LINES), random.pick(ENDS.slice(0, 2))]));
  },
  function inHeader(lines, _, random) {
    lines.splice(random.below(8), 0, Buffer.concat([random.pick(LINES), Buffer.from('\r\n')]));
  },
  function drop(lines, _, random) {
    lines.splice(...random.span(lines.length));
  },
  function repeat(lines, _, random) {
    const [start, end] = random.span(lines.length);
    const times = random.once(24) ? 300 : 1;
    const part = lines.slice(start, Math.min(end, start + 40));
    lines.splice(start, 0, ...Array.from({ length: times }, () => part).flat());
  },
  function move(lines, _, random) {
    const [start, end] = random.span(lines.length);
    const part = lines.splice(start, end - start);
    lines.splice(random.below(lines.length + 1), 0, ...part);
  },
  function replace(lines, _, random) {
    lines[random.below(lines.length)] = Buffer.concat([random.pick(LINES), Buffer.from('\r\n')]);
  },
  function take(lines, other, random) {
    const theirs = linesOf(other);
    const [start, end] = random.span(theirs.length);
    lines.splice(random.below(lines.length + 1), random.below(3), ...theirs.slice(start, end));
  },
  function end(lines, _, random) {
    const at = random.below(lines.length);
    const line = lines[at] ?? Buffer.alloc(0);
    lines[at] = Buffer.concat([
      Buffer.from(line.toString('latin1').replace(/\r?\n$/, ''), 'latin1'),
      random.pick(ENDS),
    ]);
  },
  function inside(lines, other, random) {
    const at = random.below(random.once(2) ? 12 : lines.length);
    const line = lines[at];
    if (line !== undefined && line.length > 0) lines[at] = mutateOctets(line, other, random);
  },
];

function linesOf(input: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let start = 0; start < input.length; ) {
    const feed = input.indexOf(0x0a, start);
    const end = feed === -1 ? input.length : feed + 1;
    lines.push(input.subarray(start, end));
    start = end;
  }
  return lines;
}

export function mutateMail(input: Buffer, other: Buffer, random: Random): Buffer {
  if (random.once(3)) {
    const inner = mutateObject(input, other, random);
    if (inner !== undefined) return inner;
  }
  if (random.once(40)) return Buffer.from(input.toString('latin1').replaceAll('\r\n', '\n'), 'latin1');
  const lines = linesOf(input);
  for (let times = 1 + random.below(3); times > 0; times--) random.pick(changes)(lines, other, random);
  return Buffer.concat(lines);
}

const BASE64 = /(?:[A-Za-z0-9+/]{60,76}\r?\n){2,}[A-Za-z0-9+/=]*(?:\r?\n)?/g;

/** Decodes one base64 body, changes the BER in it, and encodes it again. */
function mutateObject(input: Buffer, other: Buffer, random: Random): Buffer | undefined {
  const text = input.toString('latin1');
  const bodies = [...text.matchAll(BASE64)];
  if (bodies.length === 0) return undefined;
  const body = random.pick(bodies);
  const [theirs] = [...other.toString('latin1').matchAll(BASE64)];
  const decoded = Buffer.from(body[0], 'base64');
  const changed =
    mutateTlv(decoded, Buffer.from(theirs?.[0] ?? '', 'base64'), random) ?? mutateOctets(decoded, other, random);
  return Buffer.concat([
    input.subarray(0, body.index),
    encodeBase64(changed),
    input.subarray(body.index + body[0].length),
  ]);
}
