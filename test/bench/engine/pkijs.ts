// pkijs as its own documentation uses it: sign into a SignedData, encrypt into an EnvelopedData, and back. It cannot read RSA v1.5 key
// transport, so it makes and reads OAEP.

import { type KeyObject, webcrypto } from 'node:crypto';
import { fromBER, OctetString } from 'asn1js';
import {
  ContentInfo,
  CryptoEngine,
  EncapsulatedContentInfo,
  EnvelopedData,
  type ICryptoEngine,
  IssuerAndSerialNumber,
  Certificate as PkijsCertificate,
  SignedData,
  SignerInfo,
  setEngine,
} from 'pkijs';
import type { Certificate } from '../../../packages/smime/src/index.ts';
import { type Contender, inProcess } from './contender.ts';
import type { Scene } from './scene.ts';

/** asn1js refuses content above 16 MiB. */
const MAX_BYTES = 8_000_000;

setEngine(
  'node',
  new CryptoEngine({ name: 'node', crypto: webcrypto as unknown as Crypto }) as unknown as ICryptoEngine,
);

const engineOf = (isRsa: boolean) =>
  isRsa ? { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } : { name: 'ECDSA', namedCurve: 'P-256' };

async function importKey(key: KeyObject, usage: 'sign' | 'decrypt'): Promise<CryptoKey> {
  const isRsa = key.asymmetricKeyType === 'rsa';
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' });
  if (usage === 'sign')
    return (await webcrypto.subtle.importKey('pkcs8', pkcs8, engineOf(isRsa), true, ['sign'])) as CryptoKey;
  return isRsa
    ? ((await webcrypto.subtle.importKey('pkcs8', pkcs8, { name: 'RSA-OAEP', hash: 'SHA-256' }, true, [
        'decrypt',
      ])) as CryptoKey)
    : ((await webcrypto.subtle.importKey('pkcs8', pkcs8, { name: 'ECDH', namedCurve: 'P-256' }, true, [
        'deriveBits',
      ])) as CryptoKey);
}

const parse = (certificate: Certificate): PkijsCertificate => PkijsCertificate.fromBER(certificate.der);
const wrapLines = (text: string): Buffer => Buffer.from(text.replace(/.{76}/g, '$&\r\n'), 'latin1');

async function work({ sender, recipient, entity }: Scene) {
  const signKey = await importKey(sender.privateKey, 'sign');
  const decryptKey = recipient.privateKey.export({ type: 'pkcs8', format: 'der' });
  const [signer, receiver] = [parse(sender.certificate), parse(recipient.certificate)];
  async function make(): Promise<Buffer> {
    const signed = new SignedData({
      version: 1,
      encapContentInfo: new EncapsulatedContentInfo({ eContentType: ContentInfo.DATA }),
      signerInfos: [
        new SignerInfo({
          version: 1,
          sid: new IssuerAndSerialNumber({ issuer: signer.issuer, serialNumber: signer.serialNumber }),
        }),
      ],
      certificates: [signer],
    });
    signed.encapContentInfo.eContent = new OctetString({ valueHex: entity });
    await signed.sign(signKey, 0, 'SHA-256');
    const object = new ContentInfo({ contentType: ContentInfo.SIGNED_DATA, content: signed.toSchema(true) })
      .toSchema()
      .toBER(false);
    const enveloped = new EnvelopedData();
    enveloped.addRecipientByCertificate(receiver, { oaepHashAlgorithm: 'SHA-256' });
    await enveloped.encrypt(
      { name: 'AES-CBC', length: 256 } as object as Parameters<EnvelopedData['encrypt']>[0],
      new Uint8Array(wrapLines(Buffer.from(object).toString('base64'))).buffer,
    );
    const outer = new ContentInfo({ contentType: ContentInfo.ENVELOPED_DATA, content: enveloped.toSchema() })
      .toSchema()
      .toBER(false);
    return wrapLines(Buffer.from(outer).toString('base64'));
  }
  const made = await make();
  async function read(): Promise<void> {
    const info = new ContentInfo({ schema: fromBER(Buffer.from(made.toString('latin1'), 'base64')).result });
    const enveloped = new EnvelopedData({ schema: info.content });
    const content = await enveloped.decrypt(0, { recipientCertificate: receiver, recipientPrivateKey: decryptKey });
    const inner = new ContentInfo({
      schema: fromBER(Buffer.from(Buffer.from(content).toString('latin1'), 'base64')).result,
    });
    const signed = new SignedData({ schema: inner.content });
    if (!(await signed.verify({ signer: 0, checkChain: false }))) throw new Error('not verified');
  }
  return { make, read };
}

export const pkijs: Contender = inProcess('pkijs', work, ({ bytes }) =>
  bytes > MAX_BYTES ? 'asn1js refuses content above 16 MiB' : undefined,
);
