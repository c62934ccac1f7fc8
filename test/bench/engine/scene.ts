// What every contender works on: the same message, the same keys and certificates, and the message that the engine made of it.

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { protect } from '../../../packages/smime/src/index.ts';
import { ca, keysOf, NOW, type Person, person } from '../../../packages/smime/test/people.ts';

export type Kind = 'rsa' | 'rsa-3072' | 'p256';

export interface Scene {
  readonly kind: Kind;
  readonly bytes: number;
  readonly sender: Person;
  readonly recipient: Person;
  /** Header of the message, without its content fields. */
  readonly outer: Buffer;
  /** What is signed: content fields, empty line, body. */
  readonly entity: Buffer;
  readonly message: Buffer;
  /** `message` signed and encrypted by the engine, AES-256-CBC. */
  readonly made: Buffer;
  /** Both, and keys and certificates, as files: name → path. */
  file(name: 'message' | 'entity' | 'made' | 'ca' | 'sender' | 'sender.key' | 'recipient' | 'recipient.key'): string;
  close(): void;
}

const OUTER = Buffer.from(
  'From: Alice <alice@example.test>\r\nTo: bob@example.test\r\nSubject: Quarterly figures\r\n' +
    'Date: Mon, 1 Jun 2026 12:00:00 +0000\r\nMessage-ID: <figures@example.test>\r\n',
);

/** A text and an attachment, as most large mail is: lines of 76 octets, 7bit, CRLF. */
function entityOf(bytes: number): Buffer {
  const text = 'The quick brown fox jumps over the lazy dog, and the day is young.\r\n';
  const head =
    'Content-Type: multipart/mixed; boundary=limit\r\n\r\n--limit\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n' +
    text.repeat(Math.floor(Math.min(bytes, 4096) / 136)) +
    '--limit\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n';
  const rows = Math.max(1, Math.floor((bytes - head.length - 30) / 78));
  const attachment =
    randomBytes(rows * 57)
      .toString('base64')
      .match(/.{76}/g) ?? [];
  return Buffer.from(`${head}${attachment.join('\r\n')}\r\n--limit--\r\n`, 'latin1');
}

export async function makeScene(kind: Kind, bytes: number): Promise<Scene> {
  const [sender, recipient] = [person('alice', kind), person('bob', kind)];
  const entity = entityOf(bytes);
  const message = Buffer.concat([OUTER, Buffer.from('MIME-Version: 1.0\r\n'), entity]);
  const made = await protect(message, {
    keys: keysOf(sender),
    sign: { certificate: sender.certificate, chain: [ca] },
    encrypt: { recipients: [recipient.certificate] },
    now: NOW,
  });
  const directory = mkdtempSync(join(tmpdir(), 'sealpost-bench-'));
  const key = (who: Person) => who.privateKey.export({ type: 'pkcs8', format: 'pem' });
  const files = {
    message,
    entity,
    made,
    ca: ca.pem,
    sender: sender.certificate.pem,
    'sender.key': key(sender),
    recipient: recipient.certificate.pem,
    'recipient.key': key(recipient),
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
  return {
    kind,
    bytes,
    sender,
    recipient,
    outer: OUTER,
    entity,
    message,
    made,
    file: (name) => join(directory, name),
    close: () => rmSync(directory, { recursive: true }),
  };
}
