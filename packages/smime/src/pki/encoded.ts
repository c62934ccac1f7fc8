// Certificates as people hand them over: DER, PEM (also bundles and Windows line ends), bare base64, certs-only PKCS#7.
import { SmimeError } from '../errors.ts';
import { type Certificate, certificateFromDer } from './certificate.ts';
import { asBuffer, context, DerCursor, enter, readDer, TAG } from './der.ts';

/** Bundles of public roots hold under 500; a file with more is not one of ours. */
const MAX_CERTIFICATES = 4096;
const MAX_BUNDLE_BYTES = 16 * 1024 * 1024;

const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]{1,40})-----([^-]*)-----END \1-----/g;
const CERTIFICATE_LABELS: ReadonlySet<string> = new Set(['CERTIFICATE', 'X509 CERTIFICATE', 'TRUSTED CERTIFICATE']);
const BUNDLE_LABELS: ReadonlySet<string> = new Set(['PKCS7', 'CMS']);

/** DER blocks of PEM text, DER or base64, with the PEM label ('' when there was none). */
export function decodeArmour(bytes: Uint8Array): { label: string; der: Buffer }[] {
  const buffer = asBuffer(bytes);
  if (buffer.length > MAX_BUNDLE_BYTES) throw new SmimeError('limit-exceeded');
  if (buffer[0] === TAG.sequence) return [{ label: '', der: buffer }];
  const text = buffer.toString('latin1');
  const blocks = [...text.matchAll(PEM_BLOCK)].map(([, label = '', body = '']) => ({ label, der: decodeBase64(body) }));
  return blocks.length > 0 ? blocks : [{ label: '', der: decodeBase64(text) }];
}

function decodeBase64(text: string): Buffer {
  const compact = text.replace(/\s+/g, '');
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(compact)) throw new SmimeError('malformed-certificate');
  return Buffer.from(compact, 'base64');
}

/** One certificate from DER, PEM or base64. Throws SmimeError `malformed-certificate` or `limit-exceeded`. */
export function parseCertificate(bytes: Uint8Array): Certificate {
  const [first, ...others] = parseCertificates(bytes);
  if (first === undefined || others.length > 0) throw new SmimeError('malformed-certificate');
  return first;
}

/**
 * All certificates of a bundle: PEM blocks (others than certificates are passed over), certs-only PKCS#7, one DER
 * certificate or several in a row. One malformed certificate fails the whole.
 */
export function parseCertificates(bytes: Uint8Array): Certificate[] {
  const ders: Buffer[] = [];
  for (const { label, der } of decodeArmour(bytes)) {
    if (label === '') ders.push(...splitDer(der));
    else if (BUNDLE_LABELS.has(label)) ders.push(...certificatesOf(der));
    // OpenSSL's TRUSTED form appends settings to the certificate.
    else if (CERTIFICATE_LABELS.has(label)) ders.push(wrapped(() => new DerCursor(der).next(TAG.sequence).bytes));
  }
  if (ders.length > MAX_CERTIFICATES) throw new SmimeError('limit-exceeded');
  return ders.map(certificateFromDer);
}

function splitDer(der: Buffer): Buffer[] {
  return wrapped(() => {
    const cursor = new DerCursor(der);
    const found: Buffer[] = [];
    while (!cursor.done && found.length <= MAX_CERTIFICATES) {
      const node = cursor.next(TAG.sequence);
      if (node.content[0] === TAG.oid) found.push(...certificatesOf(node.bytes));
      else found.push(node.bytes);
    }
    return found;
  });
}

/** The certificates of a DER ContentInfo with SignedData (RFC 5652 §5.1); other choices than certificates are passed over. */
function certificatesOf(der: Buffer): Buffer[] {
  return wrapped(() => {
    const info = enter(readDer(der, TAG.sequence));
    info.next(TAG.oid);
    const signed = enter(readDer(info.next(context(0, true)).content, TAG.sequence));
    signed.next(TAG.integer);
    signed.next(TAG.set);
    signed.next(TAG.sequence);
    const set = signed.optional(context(0, true));
    const found: Buffer[] = [];
    if (set === undefined) return found;
    const cursor = enter(set);
    while (!cursor.done && found.length <= MAX_CERTIFICATES) {
      const node = cursor.next();
      if (node.tag === TAG.sequence) found.push(node.bytes);
    }
    return found;
  });
}

function wrapped<T>(read: () => T): T {
  try {
    return read();
  } catch {
    throw new SmimeError('malformed-certificate');
  }
}
