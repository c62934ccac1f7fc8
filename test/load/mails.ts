// The mail of a load, made once for each size: outbound mail is plain, of a person of ours to a partner; inbound mail is signed by the
// partner and encrypted to that person, with OpenSSL. Sizes are those of the message on the wire.

import { randomBytes } from 'node:crypto';
import type { Partner, Person } from '../e2e/partner.ts';

export const ours = 'alice@alpha.test';
export const theirs = 'bob@partner.test';

const limit = 'limit-of-the-parts';
/** Header, multipart structure and base64's line ends are about this much. */
const frameBytes = 500;
/** Octets on the wire for each octet of the attachment: base64 in lines of 76 characters. */
const base64Growth = (4 / 3) * (78 / 76);
/** Signing in clear and base64 of the whole: what an attachment grows by on its way in. */
const envelopedGrowth = base64Growth * 1.03;
const envelopedFrame = 5_500;

/** A message of about so many bytes with CRLF lines; the attachment is random, so nothing of it compresses. */
export function outboundMail(bytes: number): Buffer {
  return Buffer.from(headers(ours, theirs) + entity(Math.max(0, (bytes - frameBytes) / base64Growth)));
}

/** The same, signed by the partner and encrypted to the owner of the certificate file. */
export function inboundMail(bytes: number, partner: Partner, signer: Person, certificateFile: string): Buffer {
  const attachment = Math.max(0, (bytes - envelopedFrame) / (base64Growth * envelopedGrowth));
  return partner.protect(entity(attachment), {
    signer,
    recipients: [certificateFile],
    headers: headers(theirs, ours),
  });
}

function headers(from: string, to: string): string {
  return [`From: <${from}>`, `To: <${to}>`, 'Subject: load', `Date: ${new Date().toUTCString()}`, ''].join('\r\n');
}

/** MIME-Version is the first field: OpenSSL writes its own above what it protects. */
function entity(attachmentBytes: number): string {
  const attachment = randomBytes(Math.round(attachmentBytes)).toString('base64').replace(/.{76}/g, '$&\r\n');
  const part = (type: string, body: string): string => `--${limit}\r\n${type}\r\n\r\n${body}\r\n`;
  return [
    'MIME-Version: 1.0',
    `Content-Type: multipart/mixed; boundary=${limit}`,
    '',
    `${part('Content-Type: text/plain; charset=us-ascii', 'The day is young.')}${part(
      'Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64',
      attachment,
    )}--${limit}--`,
    '',
  ].join('\r\n');
}
