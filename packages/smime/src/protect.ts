// Makes S/MIME (RFC 8551 §3): signs, encrypts, or signs and then encrypts one message. Everything about the message stays
// outside as it was; only what describes the content moves inside.
import { randomBytes } from 'node:crypto';
import { type CipherName, DIGESTS, type DigestName } from './cms/algorithms.ts';
import { chooseCipher, chooseOaep, type KnownCapabilities } from './cms/capabilities.ts';
import { prepareEncryption } from './cms/encrypt.ts';
import type { KeyPort } from './cms/key-port.ts';
import { lengthOf } from './cms/pieces.ts';
import { chooseSignature, signContent } from './cms/sign.ts';
import { sevenBitEntity } from './mime/canonical.ts';
import { describesContent, readEntity } from './mime/header.ts';
import { Base64Lines, base64LinesLength, encodeBase64 } from './mime/transfer.ts';
import type { Certificate } from './pki/certificate.ts';

export interface SignOptions {
  readonly certificate: Certificate;
  /** Goes into the message, so that receivers need not know the issuers. */
  readonly chain?: readonly Certificate[];
  /** Default: SHA-256, or what the key dictates. */
  readonly digest?: DigestName;
  /** RSA-PSS instead of PKCS#1 v1.5. */
  readonly pss?: boolean;
  /** Content inside the CMS object instead of beside it: survives relays that rewrite mail, unreadable without S/MIME. */
  readonly opaque?: boolean;
}

export interface EncryptOptions {
  /** Each reads the message; callers keep Bcc recipients apart. */
  readonly recipients: readonly Certificate[];
  /** Default: AES-256-GCM when all recipients are known to read it, by their capabilities or their kind of key, else AES-256-CBC. */
  readonly cipher?: CipherName;
  /** OAEP for RSA recipients, with this digest (true: SHA-256), or v1.5 (false). Default: OAEP for those who are known to read it. */
  readonly oaep?: boolean | DigestName;
  /** What is known of recipients beside what their certificates say. */
  readonly capabilities?: KnownCapabilities;
}

export interface ProtectOptions {
  readonly keys: KeyPort;
  readonly sign?: SignOptions;
  readonly encrypt?: EncryptOptions;
  /** Becomes the signing time. */
  readonly now: Date;
}

const VERSION = 'MIME-Version: 1.0\r\n';
const CRLF = Buffer.from('\r\n');

/**
 * The protected message: outer fields byte for byte in their order, then the fields of the new content. Signed content
 * is made 7bit and CRLF first. `message` is RFC 5322 with CRLF line ends.
 * Throws SmimeError `unsupported-algorithm`, `no-recipient`, `no-key`; what the key port throws passes through.
 */
export async function protect(message: Buffer, options: ProtectOptions): Promise<Buffer> {
  if (options.sign === undefined && options.encrypt === undefined) return message;
  const { fields, body } = readEntity(message);
  const outer = fields.filter((field) => !describesContent(field)).map((field) => field.raw);
  let entity = sevenBitEntity(fields.filter(describesContent), body);
  if (options.sign !== undefined) entity = await signEntity(entity, options.sign, options);
  if (options.encrypt !== undefined) return encryptEntity(entity, options.encrypt, outer);
  return Buffer.concat([...outer, Buffer.from(VERSION, 'latin1'), ...entity]);
}

async function signEntity(entity: Buffer[], sign: SignOptions, { keys, now }: ProtectOptions): Promise<Buffer[]> {
  const { certificate, chain = [], opaque = false } = sign;
  const algorithm = chooseSignature(certificate, sign);
  const object = await signContent({ content: entity, certificate, chain, algorithm, signingTime: now, opaque }, keys);
  if (opaque) {
    const length = lengthOf(object);
    const out = Buffer.allocUnsafeSlow(base64LinesLength(length));
    const lines = new Base64Lines(out, 0);
    for (const piece of object) lines.write(piece);
    return [objectFields('signed-data'), CRLF, out.subarray(0, lines.end())];
  }
  return multipartSigned(entity, encodeBase64(Buffer.concat(object)), DIGESTS[algorithm.digest].micalg);
}

/** RFC 1847 §2.1: the entity as it is, then its signature. The line end before the delimiter is not part of it. */
function multipartSigned(entity: Buffer[], signature: Buffer, micalg: string): Buffer[] {
  const boundary = `=-${randomBytes(18).toString('base64url')}`;
  const head =
    `Content-Type: multipart/signed; protocol="application/pkcs7-signature";\r\n` +
    `\tmicalg=${micalg}; boundary="${boundary}"\r\n\r\n--${boundary}\r\n`;
  const middle =
    `\r\n--${boundary}\r\nContent-Type: application/pkcs7-signature; name="smime.p7s"\r\n` +
    'Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="smime.p7s"\r\n\r\n';
  const tail = `--${boundary}--\r\n`;
  return [
    Buffer.from(head, 'latin1'),
    ...entity,
    Buffer.from(middle, 'latin1'),
    signature,
    Buffer.from(tail, 'latin1'),
  ];
}

function objectFields(smimeType: string): Buffer {
  return Buffer.from(
    `Content-Type: application/pkcs7-mime; smime-type=${smimeType};\r\n\tname="smime.p7m"\r\n` +
      'Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="smime.p7m"\r\n',
    'latin1',
  );
}

/** Ciphertext goes from the cipher into its base64 lines in the final message; nothing in between is kept. */
function encryptEntity(entity: Buffer[], encrypt: EncryptOptions, outer: readonly Buffer[]): Buffer {
  const { recipients, capabilities, cipher = chooseCipher(recipients, capabilities), oaep } = encrypt;
  const wished = oaep === true ? 'sha256' : oaep === false ? undefined : oaep;
  const encryption = prepareEncryption({
    content: entity,
    recipients,
    cipher,
    oaep: (recipient) => (oaep === undefined ? chooseOaep(recipient, capabilities) : wished),
  });
  const type = encryption.authenticated ? 'authEnveloped-data' : 'enveloped-data';
  const head = Buffer.concat([...outer, Buffer.from(VERSION, 'latin1'), objectFields(type), CRLF]);
  const out = Buffer.allocUnsafeSlow(head.length + base64LinesLength(encryption.length));
  head.copy(out);
  const lines = new Base64Lines(out, head.length);
  encryption.write((octets) => lines.write(octets));
  lines.end();
  return out;
}
