// S/MIME objects that no honest program makes.

import { deflateSync } from 'node:zlib';
import { mail } from './partner.ts';

/** An S/MIME message with this object in it. */
export function enveloped(from: string, to: string, object: Buffer, kind = 'enveloped-data'): Buffer {
  const lines = object.toString('base64').match(/.{1,76}/g) ?? [];
  const type = `application/pkcs7-mime; smime-type=${kind}; name=smime.p7m`;
  return mail(
    {
      From: from,
      To: to,
      'MIME-Version': '1.0',
      'Content-Type': type,
      'Content-Transfer-Encoding': 'base64',
    },
    `${lines.join('\n')}\n`,
  );
}

/** DER: tag, length, content. */
function der(tag: number, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([Buffer.of(tag, 0x84), length, body]);
}
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));

/** CompressedData (RFC 3274) of 60 MB in 60 KB; this OpenSSL has no zlib. */
export function compressedBomb(): Buffer {
  const zlib = deflateSync(Buffer.alloc(60 * 1024 * 1024, 0x20), { level: 9 });
  const version = der(0x02, Buffer.of(0));
  const algorithm = der(0x30, oid('2a864886f70d0109100308'));
  const content = der(0x30, oid('2a864886f70d010701'), der(0xa0, der(0x04, zlib)));
  return der(0x30, oid('2a864886f70d0109100109'), der(0xa0, der(0x30, version, algorithm, content)));
}
