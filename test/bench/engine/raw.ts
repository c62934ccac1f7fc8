// The primitives alone, called by hand on node:crypto: digest, signature, content cipher, key wrap, and base64 in lines of 76. No
// structure is built or read: what a parser would find is found beforehand. This is the floor that the engine is compared with.

import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHash,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hash,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
  sign,
  verify,
} from 'node:crypto';
import { decryptContent, readCipherSetting } from '../../../packages/smime/src/cms/content-cipher.ts';
import { readContentInfo } from '../../../packages/smime/src/cms/content-info.ts';
import { readEnvelopedData } from '../../../packages/smime/src/cms/enveloped-data.ts';
import { readRecipientInfo } from '../../../packages/smime/src/cms/recipient-info.ts';
import { readSignedData } from '../../../packages/smime/src/cms/signed-data.ts';
import { boundaryOf, openRecipientInfo, readEntity, readMultipart, typeOf } from '../../../packages/smime/src/index.ts';
import { type Contender, inProcess } from './contender.ts';
import type { Scene } from './scene.ts';

/** Above this, rows written one by one are faster than rows joined; each size has the faster of the two. */
const JOIN_BELOW = 1_000_000;

function base64Lines(octets: Buffer): Buffer {
  const text = octets.toString('base64');
  if (octets.length < JOIN_BELOW) {
    const rows: string[] = [];
    for (let at = 0; at < text.length; at += 76) rows.push(text.slice(at, at + 76));
    return Buffer.from(`${rows.join('\r\n')}\r\n`, 'latin1');
  }
  const out = Buffer.allocUnsafe(text.length + Math.ceil(text.length / 76) * 2);
  let offset = 0;
  for (let at = 0; at < text.length; at += 76) {
    offset += out.write(text.slice(at, at + 76), offset, 'latin1');
    out[offset++] = 0x0d;
    out[offset++] = 0x0a;
  }
  return out;
}

const WRAP_IV = Buffer.alloc(8, 0xa6);
/** ECC-CMS-SharedInfo (RFC 5753 §7.2) for AES-256 key wrap: always the same octets. */
const SHARED_INFO = Buffer.from('3015300b060960864801650304012da206040400000100', 'hex');

function keyEncryptionKey(secret: Buffer): Buffer {
  return createHash('sha256')
    .update(secret)
    .update(Buffer.of(0, 0, 0, 1))
    .update(SHARED_INFO)
    .digest();
}

function wrapFor(recipient: KeyObject, key: Buffer): Buffer {
  if (recipient.asymmetricKeyType === 'rsa') {
    return publicEncrypt({ key: recipient, padding: constants.RSA_PKCS1_PADDING }, key);
  }
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const kek = keyEncryptionKey(diffieHellman({ privateKey, publicKey: recipient }));
  const cipher = createCipheriv('id-aes256-wrap', kek, WRAP_IV);
  return Buffer.concat([publicKey.export({ format: 'raw-public' }), cipher.update(key), cipher.final()]);
}

/** Where things lie in the message that the engine made. */
interface Places {
  readonly body: Buffer;
  readonly wrapped: Buffer;
  readonly originator: Buffer | undefined;
  readonly iv: Buffer;
  readonly start: number;
  readonly end: number;
  readonly content: readonly [number, number];
  readonly signature: readonly [number, number];
  readonly attributes: Buffer;
  readonly signed: Buffer;
}

function findPlaces({ made, recipient }: Scene): Places {
  const { body } = readEntity(made);
  const object = Buffer.from(body.toString('latin1'), 'base64');
  const info = readContentInfo(object).content;
  const enveloped = info === undefined ? undefined : readEnvelopedData(info, false);
  const [recipientNode] = enveloped?.recipients ?? [];
  const [ciphertext] = enveloped?.content.ciphertext ?? [];
  const setting = enveloped === undefined ? undefined : readCipherSetting(enveloped.content.cipher);
  if (enveloped === undefined || recipientNode === undefined || ciphertext === undefined || setting === undefined) {
    throw new Error('not as the engine makes it');
  }
  const start = ciphertext.byteOffset - object.byteOffset;
  const key = openRecipientInfo(recipient.privateKey, recipient.certificate, recipientNode.bytes, 32);
  const plain = key === undefined ? undefined : decryptContent(enveloped, setting, key);
  const wrapping = readRecipientInfo(recipientNode);
  if (key === undefined || plain === undefined) throw new Error('not as the engine makes it');
  const inner = readEntity(plain);
  const [content, second] = readMultipart(inner.body, boundaryOf(typeOf(inner.fields)) ?? '').parts;
  if (content === undefined || second === undefined) throw new Error('not as the engine makes it');
  const signature = readEntity(second).body;
  const within = (part: Buffer): [number, number] => {
    const from = part.byteOffset - plain.byteOffset;
    return [from, from + part.length];
  };
  const signedInfo = readContentInfo(Buffer.from(signature.toString('latin1'), 'base64')).content;
  const [signer] = signedInfo === undefined ? [] : readSignedData(signedInfo).signers;
  const [attributes = Buffer.alloc(0)] = signer?.signedAttributes?.encodings() ?? [];
  const agreement = wrapping.kind === 'key-agreement' ? wrapping : undefined;
  const transport = wrapping.kind === 'key-transport' ? wrapping.encryptedKey : Buffer.alloc(0);
  return {
    body,
    wrapped: agreement?.keys[0]?.encryptedKey ?? transport,
    originator: agreement?.originator?.publicKey,
    iv: setting.iv,
    start,
    end: start + ciphertext.length,
    content: within(content),
    signature: within(signature),
    attributes,
    signed: signer?.signature ?? Buffer.alloc(0),
  };
}

export const raw: Contender = inProcess('raw', (scene) => {
  const { sender, recipient, entity, outer } = scene;
  const places = findPlaces(scene);
  const signerKey = sender.certificate.publicKey;
  const recipientKey = recipient.certificate.publicKey;
  const isRsa = recipientKey.asymmetricKeyType === 'rsa';
  // Certificates and structure around the signature, which is encoded with them.
  const around = Buffer.alloc(
    Math.floor(((places.signature[1] - places.signature[0]) * 57) / 78) - places.signed.length,
  );
  const attributes = Buffer.from(places.attributes);
  const curve = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex');
  return {
    make() {
      const digest = hash('sha256', entity, 'buffer');
      digest.copy(attributes, 60);
      const signature = base64Lines(Buffer.concat([around, sign('sha256', attributes, sender.privateKey)]));
      const [key, iv] = [randomBytes(32), randomBytes(16)];
      const cipher = createCipheriv('aes-256-cbc', key, iv);
      const pieces = [around.subarray(0, 400), wrapFor(recipientKey, key), cipher.update(around.subarray(0, 160))];
      pieces.push(cipher.update(entity), cipher.update(signature), cipher.final());
      return Buffer.concat([outer, base64Lines(Buffer.concat(pieces))]);
    },
    read() {
      const object = Buffer.from(places.body.toString('latin1'), 'base64');
      const key = isRsa
        ? privateDecrypt({ key: recipient.privateKey, padding: constants.RSA_PKCS1_PADDING }, places.wrapped)
        : unwrap();
      const decipher = createDecipheriv('aes-256-cbc', key, places.iv);
      const plain = Buffer.concat([decipher.update(object.subarray(places.start, places.end)), decipher.final()]);
      const digest = hash('sha256', plain.subarray(...places.content), 'buffer');
      Buffer.from(plain.toString('latin1', ...places.signature), 'base64');
      if (digest.length !== 32 || !verify('sha256', places.attributes, signerKey, places.signed))
        throw new Error('broken');
      return plain;
    },
  };

  function unwrap(): Buffer {
    const spki = Buffer.concat([curve, places.originator ?? Buffer.alloc(0)]);
    const theirs = createPublicKey({ key: spki, format: 'der', type: 'spki' });
    const kek = keyEncryptionKey(diffieHellman({ privateKey: recipient.privateKey, publicKey: theirs }));
    const decipher = createDecipheriv('id-aes256-wrap', kek, WRAP_IV);
    return Buffer.concat([decipher.update(places.wrapped), decipher.final()]);
  }
});
