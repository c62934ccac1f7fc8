// The other side: `openssl cms` verifies and decrypts what we made, and makes what we open.

import { execFileSync } from 'node:child_process';
import { type KeyObject, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Named inputs become files (strings hold bytes as Latin-1); `@name` among the arguments is such a file's path. Returns standard output. */
export function openssl(
  [command = '', ...args]: readonly string[],
  files: Readonly<Record<string, Buffer | string>>,
): Buffer {
  const directory = mkdtempSync(join(tmpdir(), 'sealpost-openssl-'));
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content, 'latin1');
    const given = args.map((argument) => (argument.startsWith('@') ? join(directory, argument.slice(1)) : argument));
    const out = join(directory, 'out');
    execFileSync('openssl', [command, '-out', out, ...given], { stdio: ['ignore', 'ignore', 'pipe'] });
    return readFileSync(out);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

export function pem(der: Buffer): string {
  return new X509Certificate(der).toString();
}

export function keyPem(key: KeyObject): string {
  return String(key.export({ format: 'pem', type: 'pkcs8' }));
}

interface Holder {
  readonly certificate: Buffer;
  readonly key: KeyObject;
}

/** An entity with a detached signature around it, CRLF lines. */
export function signed(entity: string, { certificate, key }: Holder, ...options: readonly string[]): string {
  const args = ['cms', '-sign', '-in', '@entity', '-signer', '@certificate', '-inkey', '@key', ...options];
  return crlf(openssl(args, { entity, certificate: pem(certificate), key: keyPem(key) }));
}

/** An entity encrypted to the certificates, CRLF lines. */
export function encrypted(entity: string, certificates: readonly Buffer[], cipher = '-aes256'): string {
  const files = Object.fromEntries(certificates.map((der, index) => [`to${index}`, pem(der)]));
  const names = Object.keys(files).map((name) => `@${name}`);
  return crlf(openssl(['cms', '-encrypt', cipher, '-binary', '-in', '@entity', ...names], { entity, ...files }));
}

function crlf(bytes: Buffer): string {
  return bytes.toString('latin1').replace(/\r?\n/g, '\r\n');
}
