// TLS for servers and clients: 1.2 or newer (RFC 9325 §3.1.1), keys from encrypted files.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { SecureVersion } from 'node:tls';
import { SetupError } from '@sealpost/core';

export const leastTlsVersion: SecureVersion = 'TLSv1.2';

/** Paths as sections of the configuration give them. */
export interface TlsFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly passphraseFile?: string | undefined;
}

/** What node:tls takes of us, for a server or a client. */
export interface TlsIdentity {
  readonly cert: Buffer;
  /** PEM, still encrypted where a passphrase is given: the plain key lives inside the TLS context only. */
  readonly key: Buffer;
  readonly passphrase?: string;
  readonly minVersion: SecureVersion;
}

/** Certificate and key of this process; checked to belong together. Throws SetupError. */
export function readIdentity(files: TlsFiles): TlsIdentity {
  const cert = read(files.certificateFile);
  const key = read(files.keyFile);
  const passphrase = files.passphraseFile === undefined ? undefined : readSecret(files.passphraseFile);
  const certificate = certificateOf(cert, files.certificateFile);
  if (!certificate.checkPrivateKey(keyOf(key, passphrase, files.keyFile))) {
    throw new SetupError(`${files.keyFile} is not the key of ${files.certificateFile}`);
  }
  return { cert, key, minVersion: leastTlsVersion, ...(passphrase === undefined ? {} : { passphrase }) };
}

/** The roots in a PEM file. Throws SetupError. */
export function readAuthorities(file: string): Buffer {
  const pem = read(file);
  certificateOf(pem, file);
  return pem;
}

/** A secret from its file, without the line end that editors add. Throws SetupError. */
export function readSecret(file: string): string {
  const secret = read(file)
    .toString('utf8')
    .replace(/\r?\n$/, '');
  if (secret === '') throw new SetupError(`${file} is empty`);
  return secret;
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new SetupError(`${file} cannot be read`, { cause: error });
  }
}

function certificateOf(pem: Buffer, file: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new SetupError(`${file} does not hold a certificate in PEM form`, { cause: error });
  }
}

function keyOf(pem: Buffer, passphrase: string | undefined, file: string): KeyObject {
  try {
    return createPrivateKey(passphrase === undefined ? { key: pem } : { key: pem, passphrase });
  } catch (error) {
    throw new SetupError(`${file} does not hold a private key that can be read with its passphrase`, {
      cause: error,
    });
  }
}
