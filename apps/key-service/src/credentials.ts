// The files that let services and the operator in: `<role>.crt` and `<role>.key` (encrypted PKCS#8, RFC 5958) in one directory,
// and the service CA's certificate. What is missing, foreign or in its last third is made anew; the rest stays as it is.

import { createPrivateKey, generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { isIP } from 'node:net';
import { dirname, join } from 'node:path';
import { SetupError } from '@sealpost/core';
import { type Installation, readSecret } from '@sealpost/service';
import type { Certificate } from '@sealpost/smime';
import type { Authority } from './authority/authority.ts';
import { type ClientRole, issueClientCertificate, issueServerCertificate } from './authority/service-authority.ts';

const clients: readonly ClientRole[] = ['ingress', 'crypto-worker', 'egress', 'operator'];
/** The name in the certificates that `init` makes; an installation may issue further ones under other names. */
export const firstName = 'default';

/** Fills the directory; returns the names of what was made. Throws SetupError. */
export async function fillCredentials(config: Installation, ca: Authority): Promise<string[]> {
  const { credentials, caFile, passphraseFile } = config.keyService;
  if (passphraseFile === undefined)
    throw new SetupError('keyService.passphraseFile is needed: keys are stored encrypted');
  const made: string[] = [];
  const passphrase = (): string => {
    if (existsSync(passphraseFile)) return readSecret(passphraseFile);
    write(passphraseFile, `${randomBytes(32).toString('base64url')}\n`, 0o600);
    made.push(passphraseFile);
    return readSecret(passphraseFile);
  };
  const secret = passphrase();
  if (!holdsCertificate(caFile, ca.certificate)) {
    write(caFile, ca.certificate.pem, 0o644);
    made.push(caFile);
  }

  const hosts = serverHosts(config);
  const wanted = [
    ...clients.map((role) => ({
      name: role as string,
      suits: () => true,
      issue: (key: Certificate['publicKey']) => issueClientCertificate(ca, role, firstName, key),
    })),
    {
      name: 'key-service',
      suits: (certificate: X509Certificate) => hosts.every((host) => names(certificate, host)),
      issue: (key: Certificate['publicKey']) => issueServerCertificate(ca, hosts, key),
    },
  ];
  for (const { name, suits, issue } of wanted) {
    const files = { certificate: join(credentials, `${name}.crt`), key: join(credentials, `${name}.key`) };
    if (isUsable(files, ca.certificate, secret, suits)) continue;
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: secret });
    write(files.key, String(key), 0o600);
    write(files.certificate, (await issue(publicKey)).pem, 0o644);
    made.push(files.certificate, files.key);
  }
  return made;
}

/** Under which the key service is reached: as the stages' URL says, from this machine, and what the operator listed. */
function serverHosts({ keyService, keyServer }: Installation): string[] {
  const host = new URL(keyService.url).hostname.replace(/^\[|\]$/g, '');
  return [...new Set([host, 'localhost', '127.0.0.1', ...keyServer.names])];
}

function names(certificate: X509Certificate, host: string): boolean {
  return (isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)) !== undefined;
}

function isUsable(
  files: { certificate: string; key: string },
  ca: Certificate,
  passphrase: string,
  suits: (certificate: X509Certificate) => boolean,
): boolean {
  try {
    const certificate = new X509Certificate(readFileSync(files.certificate));
    const key = createPrivateKey({ key: readFileSync(files.key), passphrase });
    const life = certificate.validToDate.getTime() - certificate.validFromDate.getTime();
    return (
      certificate.verify(ca.publicKey) &&
      certificate.checkPrivateKey(key) &&
      certificate.validToDate.getTime() - Date.now() > life / 3 &&
      suits(certificate)
    );
  } catch {
    return false;
  }
}

function holdsCertificate(file: string, certificate: Certificate): boolean {
  try {
    return new X509Certificate(readFileSync(file)).raw.equals(certificate.der);
  } catch {
    return false;
  }
}

/** Whole or not at all, also through a crash. */
function write(file: string, text: string, mode: number): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const partial = `${file}.${process.pid}.partial`;
  const handle = openSync(partial, 'w', mode);
  try {
    writeSync(handle, text);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(partial, file);
}
