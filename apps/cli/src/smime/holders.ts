// Private keys and certificates from files, each key with the certificates it belongs to. All of PEM, DER and base64 are read.

import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { type Certificate, decodeArmour, parseCertificates, readPkcs12 } from '@sealpost/smime';
import { parsedFile } from '../arguments.ts';
import { readInput } from '../read-input.ts';
import { UsageError } from '../usage-error.ts';

export interface HolderFlags {
  readonly key?: readonly string[];
  readonly cert?: readonly string[];
  readonly p12?: readonly string[];
  readonly passwordFile?: readonly string[];
}

export interface Holder {
  readonly certificate: Certificate;
  readonly privateKey: KeyObject;
}

export interface Holders {
  readonly holders: readonly Holder[];
  /** Keys for which no certificate was given at all. */
  readonly bareKeys: readonly KeyObject[];
  /** Certificates of others: issuers, signers. */
  readonly others: readonly Certificate[];
}

/** Passwords are used in the order of the PKCS#12 files, then of the keys; the last one serves all that follow. */
export function readHolders({ key = [], cert = [], p12 = [], passwordFile = [] }: HolderFlags): Holders {
  const passwords = passwordFile.map(readPassword);
  const passwordAt = (index: number): string | undefined => passwords[index] ?? passwords.at(-1);
  const stores = p12.map((file, index) => parsedFile(file, () => readPkcs12(readInput(file), passwordAt(index) ?? '')));
  const keys = key.map((file, index) => readPrivateKey(file, passwordAt(p12.length + index)));
  const certificates = [...cert.flatMap(readCertificates), ...stores.flatMap((store) => store.certificates)];
  const privateKeys = [...keys, ...stores.flatMap((store) => store.privateKeys)];
  const holders = privateKeys.flatMap((privateKey) => holdersOf(privateKey, certificates));
  const unused = privateKeys.filter((privateKey) => !holders.some((holder) => holder.privateKey === privateKey));
  if (certificates.length > 0 && unused.length > 0) {
    process.stderr.write('sealpost: a private key belongs to none of the certificates and is not used\n');
  }
  return {
    holders,
    bareKeys: certificates.length > 0 ? [] : unused,
    others: certificates.filter((certificate) => !holders.some((holder) => holder.certificate === certificate)),
  };
}

/** Every certificate of a key: after a renewal there may be several. */
function holdersOf(privateKey: KeyObject, certificates: readonly Certificate[]): Holder[] {
  return certificates
    .filter((certificate) => isKeyOf(privateKey, certificate))
    .map((certificate) => ({ certificate, privateKey }));
}

export function isKeyOf(privateKey: KeyObject, certificate: Certificate): boolean {
  try {
    return certificate.publicKey.equals(createPublicKey(privateKey));
  } catch {
    return false;
  }
}

export function readCertificates(file: string): Certificate[] {
  const found = parsedFile(file, () => parseCertificates(readInput(file)));
  if (found.length === 0) throw new UsageError(`${file} holds no certificate`);
  return found;
}

/** PKCS#8, PKCS#1 or SEC 1; in PEM also beside certificates and under a password. */
export function readPrivateKey(file: string, password: string | undefined): KeyObject {
  const bytes = readInput(file);
  const secret = password === undefined ? {} : { passphrase: password };
  const text = bytes.toString('latin1');
  if (text.includes('-----BEGIN')) return imported(file, [() => createPrivateKey({ key: text, ...secret })]);
  const der = parsedFile(file, () => decodeArmour(bytes)[0]?.der ?? bytes);
  const kinds = ['pkcs8', 'pkcs1', 'sec1'] as const;
  return imported(
    file,
    kinds.map((type) => () => createPrivateKey({ key: der, format: 'der', type, ...secret })),
  );
}

function imported(file: string, attempts: readonly (() => KeyObject)[]): KeyObject {
  for (const attempt of attempts) {
    try {
      return attempt();
    } catch {
      // The next form, then the sentence below; the library's text may hold parts of the key.
    }
  }
  throw new UsageError(`${file} holds no private key that can be read; one under a password needs --password-file`);
}

/** The password in a file, without the line end that editors put there. */
export function readPassword(file: string): string {
  return readInput(file)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}
