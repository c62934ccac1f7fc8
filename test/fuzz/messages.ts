// Seeds of our own: every form that `protect` makes, and those that only the reader knows.

import { deflateSync } from 'node:zlib';
import { CONTENT_TYPE, ZLIB_COMPRESS } from '../../packages/smime/src/cms/oids.ts';
import { contentInfo } from '../../packages/smime/src/cms/pieces.ts';
import { type CipherName, encodeBase64, type ProtectOptions, protect } from '../../packages/smime/src/index.ts';
import {
  algorithmIdentifier,
  explicit,
  integer,
  octetString,
  oid,
  sequence,
  setOf,
  tlv,
} from '../../packages/smime/src/pki/der-write.ts';
import { alice, bob, keys, middle, NOW, root } from './people.ts';

const HEAD =
  'Received: from a by b;\r\n\tMon, 1 Jun 2026 12:00:00 +0000\r\nFrom: "A. Sender" <alice@example.test>\r\n' +
  'To: bob@example.test\r\nSubject: Hello\r\nDate: Mon, 1 Jun 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\n';

export const plainMails: readonly Buffer[] = [
  `${HEAD}Content-Type: text/plain; charset=us-ascii\r\n\r\nHello Bob.\r\n`,
  `${HEAD}\r\nno type\r\n.\r\nFrom here\r\n`,
  `${HEAD}Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\ngrüße\nund mehr\r`,
  `${HEAD}Content-Type: text/plain;\r\n\tname*0="a";\r\n name*1*=%41\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3Db =\r\nc=20\r\n`,
  `${HEAD}Content-Type: multipart/mixed; boundary="b"\r\n\r\npre\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n--b\r\n` +
    'Content-Type: application/octet-stream; name=x.bin\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAwQFBgc=\r\n--b\r\n' +
    'Content-Type: message/rfc822\r\n\r\nSubject: inner\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n--b--\r\nafter\r\n',
  `${HEAD}Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\nAuto-Submitted: auto-replied\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n`,
  `${HEAD}Content-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\n`,
].map((text) => Buffer.from(text));

const [plain = Buffer.alloc(0), , eightBit = plain, , mixed = plain] = plainMails;
const ciphers: readonly CipherName[] = ['aes-256-cbc', 'aes-128-gcm', 'aes-256-gcm', 'chacha20-poly1305'];

async function make(message: Buffer, options: Omit<ProtectOptions, 'keys' | 'now'>): Promise<Buffer> {
  return await protect(message, { ...options, keys, now: NOW });
}

/** Made in every run anew: the seeds' plaintexts are what may be opened. */
export async function protectedMails(): Promise<Buffer[]> {
  const mails: Buffer[] = [];
  for (const { certificate } of Object.values(alice)) {
    const sign = { certificate, chain: [middle.certificate] };
    mails.push(await make(plain, { sign }), await make(eightBit, { sign: { ...sign, opaque: true } }));
  }
  const { rsa } = alice;
  mails.push(await make(mixed, { sign: { certificate: rsa.certificate, pss: true, digest: 'sha512' } }));
  for (const cipher of ciphers) {
    for (const { certificate } of Object.values(bob)) {
      mails.push(await make(plain, { encrypt: { recipients: [certificate], cipher } }));
    }
  }
  const recipients = Object.values(bob).map(({ certificate }) => certificate);
  const sign = { certificate: rsa.certificate, chain: [middle.certificate] };
  mails.push(await make(mixed, { encrypt: { recipients, cipher: 'aes-256-gcm', oaep: true } }));
  const both = await make(mixed, { sign, encrypt: { recipients, cipher: 'aes-256-gcm' } });
  mails.push(both, await make(plain, { sign: { ...sign, opaque: true }, encrypt: { recipients } }));
  mails.push(await make(both, { sign: { certificate: alice.p256.certificate, chain: [middle.certificate] } }));
  mails.push(objectMail('compressed-data', compressed(mixed)), objectMail('certs-only', certsOnly()));
  const [signedMail = plain] = mails;
  mails.push(objectMail('compressed-data', compressed(signedMail)));
  mails.push(
    Buffer.concat([
      Buffer.from(`${HEAD}Content-Type: multipart/mixed; boundary=outer\r\n\r\n--outer\r\n`),
      both,
      Buffer.from('\r\n--outer--\r\n'),
    ]),
  );
  return mails;
}

export function objectMail(type: string, object: Buffer): Buffer {
  const head = `${HEAD}Content-Type: application/pkcs7-mime; smime-type=${type}; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), encodeBase64(object)]);
}

function compressed(content: Buffer): Buffer {
  const inside = sequence(oid(CONTENT_TYPE.data), explicit(0, octetString(deflateSync(content))));
  return Buffer.concat(
    contentInfo(CONTENT_TYPE.compressedData, [sequence(integer(0), algorithmIdentifier(ZLIB_COMPRESS), inside)]),
  );
}

function certsOnly(): Buffer {
  const certificates = setOf([root.certificate.der, middle.certificate.der], 0xa0);
  const signed = sequence(integer(1), tlv(0x31), sequence(oid(CONTENT_TYPE.data)), certificates, tlv(0x31));
  return Buffer.concat(contentInfo(CONTENT_TYPE.signedData, [signed]));
}
