// Target `path`: certificate path validation. An input is one DER SEQUENCE: INTEGER of switches, SEQUENCE of certificates (the leaf first),
// SEQUENCE of CRLs. With the first switch on, certificates that name one of our issuers are signed anew, so that changed extensions
// get past the signature check.

import { createHash, createPublicKey, type KeyObject, sign, X509Certificate } from 'node:crypto';
import {
  type Certificate,
  type Crl,
  certificateFromDer,
  type PathPurpose,
  parseCertificate,
  parseCrls,
  SmimeError,
  validatePath,
} from '../../../packages/smime/src/index.ts';
import { children, type DerNode, readDer, readSmallInteger } from '../../../packages/smime/src/pki/der.ts';
import {
  algorithmIdentifier,
  bitString,
  boolean,
  explicit,
  implicit,
  integer,
  namedBits,
  octetString,
  oid,
  sequence,
  time,
  tlv,
  utf8String,
} from '../../../packages/smime/src/pki/der-write.ts';
import { ANY_POLICY, EXTENSION, PURPOSE } from '../../../packages/smime/src/pki/oids.ts';
import { corpusFile, hasCorpus } from '../corpus.ts';
import { mutateOctets } from '../mutate-octets.ts';
import { mutateTlv } from '../mutate-tlv.ts';
import { alice, middle as issuing, keptKey, root as ownRoot } from '../people.ts';
import { must, type Target } from '../target.ts';

const AT = new Date('2026-06-01T00:00:00Z');
const BEFORE = new Date('2026-01-01T00:00:00Z');
const AFTER = new Date('2027-01-01T00:00:00Z');
const ECDSA = algorithmIdentifier('1.2.840.10045.4.3.2');

interface Party {
  readonly name: Buffer;
  readonly key: KeyObject;
  readonly spki: Buffer;
}

function party(commonName: string): Party {
  const key = keptKey(commonName, 'p256');
  const name = sequence(tlv(0x31, sequence(oid('2.5.4.3'), utf8String(commonName))));
  return { name, key, spki: createPublicKey(key).export({ type: 'spki', format: 'der' }) };
}

const [top, cross, low, leaf] = ['Top', 'Cross', 'Low', 'Leaf'].map(party) as [Party, Party, Party, Party];
const issuers = [top, cross, low];

const extension = (type: string, value: Buffer, critical = false): Buffer =>
  sequence(oid(type), ...(critical ? [boolean(true)] : []), octetString(value));
const isCa = (...pathLength: number[]): Buffer =>
  extension(EXTENSION.basicConstraints, sequence(boolean(true), ...pathLength.map((value) => integer(value))), true);
const usage = (...bits: number[]): Buffer => extension(EXTENSION.keyUsage, namedBits(bits), true);
const address = (text: string): Buffer => extension(EXTENSION.subjectAltName, sequence(implicit(1, Buffer.from(text))));
const policies = (...list: string[]): Buffer =>
  extension(EXTENSION.certificatePolicies, sequence(...list.map((policy) => sequence(oid(policy)))));
const keyId = ({ spki }: Party): Buffer => createHash('sha1').update(spki).digest();

function signed(tbs: Buffer, key: KeyObject): Buffer {
  return sequence(tbs, ECDSA, bitString(sign('sha256', tbs, key)));
}

let serial = 1;

function issue(subject: Party, issuer: Party, ...extensions: Buffer[]): Buffer {
  serial += 1;
  const all = [
    extension(EXTENSION.subjectKeyIdentifier, octetString(keyId(subject))),
    extension(EXTENSION.authorityKeyIdentifier, sequence(implicit(0, keyId(issuer)))),
    ...extensions,
  ];
  const names = [issuer.name, sequence(time(BEFORE), time(AFTER)), subject.name];
  const tbs = sequence(
    explicit(0, integer(2)),
    integer(serial),
    ECDSA,
    ...names,
    subject.spki,
    explicit(3, sequence(...all)),
  );
  return signed(tbs, issuer.key);
}

function revocations(issuer: Party, entries: readonly Buffer[], ...extensions: Buffer[]): Buffer {
  const list = entries.length === 0 ? [] : [sequence(...entries)];
  const all = sequence(extension(EXTENSION.crlNumber, integer(1)), ...extensions);
  return signed(
    sequence(integer(1), ECDSA, issuer.name, time(BEFORE), time(AFTER), ...list, explicit(0, all)),
    issuer.key,
  );
}

const RESIGN = 1;
const input = (switches: number, certificates: readonly Buffer[], crls: readonly Buffer[]): Buffer =>
  sequence(integer(switches), sequence(...certificates), sequence(...crls));

const policy = '2.16.840.1.101.3.2.1.48.1';
const topCertificate = issue(top, top, isCa(), usage(5, 6));
const names = (...trees: Buffer[]): Buffer => extension(EXTENSION.nameConstraints, sequence(...trees), true);
const tree = (...bases: Buffer[]): Buffer => sequence(...bases.map((base) => sequence(base)));
const lowCertificate = issue(low, top, isCa(0), usage(5, 6), policies(policy, ANY_POLICY));
const leafCertificate = issue(leaf, low, usage(0, 2), address('leaf@example.test'), policies(policy));
const constrained = issue(
  low,
  cross,
  isCa(2),
  names(
    explicit(0, tree(implicit(1, Buffer.from('example.test')), explicit(4, leaf.name))),
    explicit(1, tree(implicit(1, Buffer.from('.bad.test')))),
  ),
  extension(EXTENSION.policyMappings, sequence(sequence(oid(policy), oid('1.2.3.4')))),
  extension(EXTENSION.policyConstraints, sequence(implicit(0, Buffer.of(1)), implicit(1, Buffer.of(2))), true),
  extension(EXTENSION.inhibitAnyPolicy, integer(1), true),
);
const crossCertificate = issue(cross, top, isCa(3), usage(5, 6), policies(ANY_POLICY));
const purposes = extension(EXTENSION.extendedKeyUsage, sequence(oid(PURPOSE.emailProtection)));
const point = sequence(explicit(0, explicit(0, implicit(6, Buffer.from('http://crl.example.test/1')))));
const pointed = issue(
  leaf,
  low,
  purposes,
  address('leaf@example.test'),
  extension(EXTENSION.crlDistributionPoints, sequence(point)),
);
const revoked = sequence(integer(77), time(BEFORE), sequence(extension(EXTENSION.reasonCode, tlv(0x0a, Buffer.of(1)))));
const scope = extension(
  EXTENSION.issuingDistributionPoint,
  sequence(explicit(0, explicit(0, implicit(6, Buffer.from('http://crl.example.test/1'))))),
  true,
);

const own = [
  input(RESIGN, [leafCertificate, lowCertificate], []),
  input(RESIGN | 6, [leafCertificate, constrained, crossCertificate], []),
  input(
    RESIGN,
    [leafCertificate, lowCertificate, constrained, crossCertificate],
    [revocations(top, [revoked]), revocations(low, [revoked]), revocations(cross, [])],
  ),
  input(RESIGN | 64, [pointed, lowCertificate], [revocations(top, []), revocations(low, [revoked], scope)]),
  input(
    RESIGN | 32,
    [pointed, lowCertificate],
    [revocations(low, [], extension(EXTENSION.deltaCrlIndicator, integer(1), true))],
  ),
  input(0, [alice.rsa.certificate.der, issuing.certificate.der], []),
];

interface Run {
  readonly ee: string;
  readonly intermediates: readonly string[];
  readonly crls: readonly string[];
  readonly policy: string;
}

const pkits: readonly Run[] = hasCorpus ? JSON.parse(corpusFile('pkits/pkits-tests.json').toString()) : [];
const pkitsInputs = pkits.map((run) =>
  input(
    run.policy.includes('explicit') ? 2 : 0,
    [run.ee, ...run.intermediates].map((name) => corpusFile(`pkits/PKITS/certs/${name}`)),
    run.crls.map((name) => corpusFile(`pkits/PKITS/crls/${name}`)),
  ),
);
const anchors = hasCorpus ? [parseCertificate(corpusFile('pkits/PKITS/certs/TrustAnchorRootCertificate.crt'))] : [];
const trust: readonly Certificate[] = [certificateFromDer(topCertificate), ownRoot.certificate, ...anchors];

const PURPOSES: readonly PathPurpose[] = ['smime', 'smime-sign', 'any', 'tls-client'];
const KNOWN: ReadonlySet<string> = new Set(Object.values(EXTENSION));

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof SmimeError) return undefined;
    throw error;
  }
}

/** The same body under a new signature of the issuer that it names, if that is one of ours. */
function signAgain(node: DerNode, issuerAt: number): Buffer {
  const [tbs] = attempt(() => children(node)) ?? [];
  const fields = tbs === undefined ? undefined : attempt(() => children(tbs));
  const issuer = issuers.find(({ name }) =>
    fields?.some((field, index) => index <= issuerAt && field.bytes.equals(name)),
  );
  return tbs === undefined || issuer === undefined ? node.bytes : signed(tbs.bytes, issuer.key);
}

interface Material {
  readonly switches: number;
  readonly certificates: readonly Certificate[];
  readonly crls: readonly Crl[];
}

function readMaterial(bytes: Buffer): Material | undefined {
  return attempt(() => {
    const [switches, certificates, crls] = children(readDer(bytes));
    if (switches === undefined || certificates === undefined || crls === undefined) return undefined;
    const value = readSmallInteger(switches);
    const again = (node: DerNode, issuerAt: number): Buffer =>
      (value & RESIGN) === 0 ? node.bytes : signAgain(node, issuerAt);
    return {
      switches: value,
      certificates: children(certificates).flatMap((node) => attempt(() => certificateFromDer(again(node, 3))) ?? []),
      crls: children(crls).flatMap((node) => attempt(() => parseCrls(again(node, 2))) ?? []),
    };
  });
}

/** What our keys or the corpus' have signed, by the signed octets: a signature itself may have other spellings. */
const known = new Set(
  [...own, ...pkitsInputs].flatMap(
    (bytes) => readMaterial(bytes)?.certificates.map(({ tbs }) => tbs.toString('base64')) ?? [],
  ),
);

/** Undefined for what OpenSSL does not even parse, such as malformed extensions that do not matter here. */
function readByOpenSsl({ der }: Certificate): X509Certificate | undefined {
  try {
    return new X509Certificate(der);
  } catch {
    return undefined;
  }
}

function checkPath(path: readonly Certificate[], resigned: boolean): void {
  must(
    trust.some(({ fingerprint }) => fingerprint === path.at(-1)?.fingerprint),
    'a path ends at given trust',
  );
  path.slice(0, -1).forEach((certificate, depth) => {
    const issuer = path[depth + 1];
    must(issuer !== undefined && certificate.issuerKey === issuer.subjectKey, 'names are chained');
    must(certificate.notBefore <= AT && certificate.notAfter >= AT, 'every certificate is valid at the time');
    must(issuer.isCa || depth === path.length - 2, 'every issuer is a CA');
    must(issuer.keyUsage?.has('keyCertSign') !== false, 'every issuer may sign certificates');
    must(
      [...certificate.extensions].every(([type, { critical }]) => !critical || KNOWN.has(type)),
      'no unknown critical extension is passed over',
    );
    must(resigned || known.has(certificate.tbs.toString('base64')), 'nothing is believed that nobody signed');
    const theirs = certificate.keyAlgorithm === 'ec' ? readByOpenSsl(certificate) : undefined;
    must(theirs?.verify(issuer.publicKey) !== false, 'OpenSSL verifies the signature too');
  });
}

export const target: Target = {
  seeds: [...own, ...pkitsInputs.filter(({ length }) => length < 16_384)],
  mutate(bytes, other, random) {
    const changed = random.once(12) ? undefined : mutateTlv(bytes, other, random);
    return changed ?? mutateOctets(bytes, other, random);
  },
  run(bytes) {
    const material = readMaterial(bytes);
    const [first, ...intermediates] = material?.certificates ?? [];
    if (material === undefined || first === undefined) return;
    const { switches, crls } = material;
    const result = validatePath({
      leaf: first,
      intermediates,
      trust,
      ...(crls.length === 0 ? {} : { crls }),
      ...((switches & 32) === 0 ? {} : { revocation: 'known' as const }),
      at: AT,
      purpose: PURPOSES[(switches >> 6) & 3] ?? 'any',
      explicitPolicy: (switches & 2) !== 0,
      inhibitMapping: (switches & 4) !== 0,
      inhibitAnyPolicy: (switches & 8) !== 0,
    });
    if (result.ok) checkPath(result.path, (switches & RESIGN) !== 0);
    else must(result.failure.depth >= 0, 'a failure has a place');
  },
};
