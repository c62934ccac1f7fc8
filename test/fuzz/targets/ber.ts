// Target `ber`: the readers of BER and DER and what stands directly on them: certificates, CRLs, OCSP answers, CMS structures.

import { writeSignedAttributes } from '../../../packages/smime/src/cms/attributes.ts';
import { BerCursor, stringOctets, toDefinite } from '../../../packages/smime/src/cms/ber.ts';
import { readCipherSetting } from '../../../packages/smime/src/cms/content-cipher.ts';
import { decodeObject, readContentInfo } from '../../../packages/smime/src/cms/content-info.ts';
import { readEncryptedData, readEnvelopedData } from '../../../packages/smime/src/cms/enveloped-data.ts';
import { CONTENT_TYPE } from '../../../packages/smime/src/cms/oids.ts';
import { readRecipientInfo } from '../../../packages/smime/src/cms/recipient-info.ts';
import { readPssParameters } from '../../../packages/smime/src/cms/signature.ts';
import { readSignedData } from '../../../packages/smime/src/cms/signed-data.ts';
import {
  isObject,
  lintCertificate,
  mayEncryptTo,
  mayVerifyWith,
  parseCertificate,
  parseCertificates,
  parseCrls,
  parseOcspResponse,
  readSignRequest,
  SmimeError,
} from '../../../packages/smime/src/index.ts';
import { children, type DerNode, readDer } from '../../../packages/smime/src/pki/der.ts';
import { corpusFiles } from '../corpus.ts';
import { protectedMails } from '../messages.ts';
import { mutateOctets } from '../mutate-octets.ts';
import { mutateTlv } from '../mutate-tlv.ts';
import { alice, bob, middle, NOW, root } from '../people.ts';
import { must, type Target } from '../target.ts';

/** Undefined when the engine refuses the input with a code; everything else passes through. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof SmimeError) return undefined;
    throw error;
  }
}

const CONSTRUCTED_STRING = 0x24;
const MAX_NODES = 5000;

/** Whether the strict reader takes every level of it, without constructed strings. */
function isDer(node: DerNode): boolean {
  const queue = [{ node, depth: 0 }];
  for (let count = 0; count < MAX_NODES; count++) {
    const next = queue.pop();
    if (next === undefined) return true;
    if ((next.node.tag & 0x20) === 0) continue;
    if (next.node.tag === CONSTRUCTED_STRING || next.depth > 60) return false;
    const inside = attempt(() => children(next.node));
    if (inside === undefined) return false;
    for (const child of inside) queue.push({ node: child, depth: next.depth + 1 });
  }
  return false;
}

function checkForms(input: Buffer): void {
  const node = attempt(() => new BerCursor(input).next());
  const definite = node === undefined ? undefined : attempt(() => toDefinite(node));
  if (definite !== undefined) {
    const again = new BerCursor(definite).next();
    must(!again.indefinite && again.bytes.length === definite.length, 'the definite form is one element');
    must(toDefinite(again).equals(definite), 'the definite form stays as it is');
  }
  const der = attempt(() => readDer(input));
  if (der !== undefined && isDer(der)) must(definite?.equals(input) === true, 'DER is written as it was read');
  const text = node === undefined ? undefined : attempt(() => stringOctets(node));
  if (text !== undefined) must(text.length <= input.length, 'a string is no longer than its element');
}

function checkCertificate(input: Buffer): void {
  const certificate = attempt(() => parseCertificate(input));
  if (certificate === undefined) return;
  must(
    attempt(() => parseCertificate(Buffer.from(certificate.pem)))?.fingerprint === certificate.fingerprint,
    'PEM gives the same certificate',
  );
  void [certificate.subject, certificate.issuer, certificate.selfIssued, certificate.serialHex];
  lintCertificate(certificate);
  mayEncryptTo(certificate, NOW);
  mayVerifyWith(certificate, NOW);
}

function checkCms(input: Buffer): void {
  const info = attempt(() => readContentInfo(decodeObject(input)));
  const content = info?.content;
  if (info === undefined || content === undefined) return;
  if (info.type === CONTENT_TYPE.signedData) {
    const signed = attempt(() => readSignedData(content));
    for (const signer of signed?.signers ?? []) {
      if (signer === undefined) continue;
      attempt(() => readPssParameters(signer.signatureAlgorithm));
      attempt(() => {
        for (const octets of signer.signedAttributes?.encodings() ?? [])
          must(octets[0] === 0x31, 'attributes are signed as a SET');
      });
    }
    return;
  }
  const enveloped = attempt(() =>
    info.type === CONTENT_TYPE.encryptedData
      ? readEncryptedData(content)
      : readEnvelopedData(content, info.type === CONTENT_TYPE.authEnvelopedData),
  );
  if (enveloped === undefined) return;
  attempt(() => readCipherSetting(enveloped.content.cipher));
  for (const recipient of enveloped.recipients.slice(0, 64)) attempt(() => readRecipientInfo(recipient));
}

const WISHES = [
  { scheme: 'ed25519', digest: 'sha512' },
  { scheme: 'rsa-pss', digest: 'sha256' },
];

/** A key that signs for others signs complete attributes, and those as they were given. */
function checkSignRequest(input: Buffer): void {
  for (const wish of WISHES) {
    const { certificate } = wish.scheme === 'ed25519' ? alice.ed25519 : alice.rsa;
    const request = readSignRequest(certificate, wish, input);
    if (request === undefined) continue;
    must(request.signedAttributes.equals(input) && input[0] === 0x31, 'what is signed is the SET that was given');
    must(input.includes(Buffer.from(certificate.fingerprint, 'hex')), 'what is signed names the certificate');
  }
}

const attributes = (['ed25519', 'rsa'] as const).map((kind) =>
  writeSignedAttributes({
    contentType: CONTENT_TYPE.data,
    contentDigest: Buffer.alloc(kind === 'rsa' ? 32 : 64, 1),
    signingTime: NOW,
    certificate: alice[kind].certificate,
    algorithm: kind === 'rsa' ? { scheme: 'rsa-pss', digest: 'sha256' } : { scheme: 'ed25519', digest: 'sha512' },
  }),
);

const objects = (await protectedMails()).flatMap((mail) => {
  const [, body] = /\r\n\r\n((?:[A-Za-z0-9+/=]+\r\n)+)$/.exec(mail.toString('latin1')) ?? [];
  return body === undefined ? [] : [Buffer.from(body, 'base64')];
});

export const target: Target = {
  seeds: [
    ...objects,
    ...attributes,
    ...[root, middle, ...Object.values(alice), ...Object.values(bob)].map(({ certificate }) => certificate.der),
    ...corpusFiles(
      'cms/*.der',
      'cms/*.crt',
      'pkits/PKITS/certs/*1*.crt',
      'pkits/PKITS/crls/*',
      'bouncycastle/**/*.{pem,der,crt}',
    ),
  ],
  mutate(input, other, random) {
    const tree = random.once(4) ? undefined : mutateTlv(input, other, random);
    return tree ?? mutateOctets(input, other, random);
  },
  run(input) {
    checkForms(input);
    checkCertificate(input);
    checkCms(input);
    checkSignRequest(input);
    isObject(input);
    attempt(() => parseCertificates(input));
    attempt(() => parseCrls(input));
    attempt(() => parseOcspResponse(input));
  },
};
