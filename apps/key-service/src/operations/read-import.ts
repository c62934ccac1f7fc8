// The files that people bring: PKCS#12, PEM with certificates and private keys in any order, or certificates in DER. What comes
// out belongs together: each private key has its certificate.

import { createPrivateKey, type KeyObject } from 'node:crypto';
import { KeyFault } from '@sealpost/service';
import { type Certificate, parseCertificates, readPkcs12, SmimeError } from '@sealpost/smime';
import { publicHalf } from '../vault/wrap-key.ts';

export interface ImportedLeaf {
  readonly certificate: Certificate;
  /** Absent for a partner's certificate. */
  readonly privateKey?: KeyObject;
}

export interface Imported {
  /** Those with private keys, or where the file has none every certificate that is not a CA's. At least one. */
  readonly leaves: readonly ImportedLeaf[];
  readonly certificates: readonly Certificate[];
}

interface Contents {
  readonly certificates: readonly Certificate[];
  readonly privateKeys: readonly KeyObject[];
}

const pemKey = /-----BEGIN ((?:RSA |EC |ENCRYPTED )?PRIVATE KEY)-----[^-]*-----END \1-----/g;

/** Faults: `import-unreadable`, `import-password-wrong`, `import-mismatch`. */
export function readImport(file: Buffer, password: string | undefined): Imported {
  const { certificates, privateKeys } = contentsOf(file, password ?? '');
  const leaves =
    privateKeys.length > 0
      ? privateKeys.map((privateKey) => ({ privateKey, certificate: certificateOf(privateKey, certificates) }))
      : certificates.filter(({ isCa }) => !isCa).map((certificate) => ({ certificate }));
  if (leaves.length === 0) throw new KeyFault('import-unreadable');
  return { leaves, certificates };
}

function contentsOf(file: Buffer, password: string): Contents {
  const text = file.toString('latin1');
  if (text.includes('-----BEGIN ')) {
    return {
      certificates: readCertificates(file),
      privateKeys: [...text.matchAll(pemKey)].map(([pem]) => keyOf(pem, password)),
    };
  }
  try {
    return { certificates: parseCertificates(file), privateKeys: [] };
  } catch {
    return readP12(file, password);
  }
}

function readCertificates(file: Buffer): Certificate[] {
  try {
    return parseCertificates(file);
  } catch {
    throw new KeyFault('import-unreadable');
  }
}

function keyOf(pem: string, password: string): KeyObject {
  try {
    return createPrivateKey({ key: pem, passphrase: password });
  } catch {
    throw new KeyFault('import-password-wrong');
  }
}

function readP12(file: Buffer, password: string): Contents {
  try {
    return readPkcs12(file, password);
  } catch (error) {
    const isLocked = error instanceof SmimeError && error.code === 'wrong-password';
    throw new KeyFault(isLocked ? 'import-password-wrong' : 'import-unreadable');
  }
}

function certificateOf(privateKey: KeyObject, certificates: readonly Certificate[]): Certificate {
  const spki = publicHalf(privateKey);
  const found = certificates.find((each) => each.spki.equals(spki));
  if (!found) throw new KeyFault('import-mismatch');
  return found;
}
