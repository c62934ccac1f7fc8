// A PKCS#11 token in software (SoftHSM 2) with keys of the test's: sensitive and not extractable, as in a real one.

import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const modules = [
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib64/pkcs11/libsofthsm2.so',
  '/opt/homebrew/lib/softhsm/libsofthsm2.so',
];

/** Path of SoftHSM's module, or undefined where it or its binding is not installed: tests that need it skip. */
export const softHsmModule = hasBinding() ? modules.find((file) => existsSync(file)) : undefined;

/** An optional dependency: it is compiled when it is installed, which not every machine can. */
function hasBinding(): boolean {
  try {
    createRequire(import.meta.url).resolve('pkcs11js');
    return true;
  } catch {
    return false;
  }
}

export interface SoftHsm {
  /** As `keyServer.pkcs11` takes it. */
  readonly place: { readonly module: string; readonly token: string; readonly pinFile: string };
  /** Put into the environment of the process that loads the module: where its tokens are. */
  readonly environment: { readonly SOFTHSM2_CONF: string };
  /** Makes an EC key in the token, which may derive; an imported one may sign only. */
  makeEcKey(label: string, id: string, curve: 'P-256' | 'P-384' | 'P-521'): void;
  /** Imports a private key (RSA or EC) with its public half. */
  importKey(label: string, id: string, key: KeyObject): void;
  /** Imports a fresh RSA-2048 key. */
  makeRsaKey(label: string, id: string): void;
  /** Imports a fresh AES-256 key. */
  makeAesKey(label: string, id: string): void;
}

/** Makes a token below `directory`. */
export function makeSoftHsm(directory: string): SoftHsm {
  const tokens = join(directory, 'tokens');
  mkdirSync(tokens, { recursive: true, mode: 0o700 });
  const configuration = join(directory, 'softhsm2.conf');
  writeFileSync(configuration, `directories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`);
  const environment = { SOFTHSM2_CONF: configuration };
  const pinFile = join(directory, 'pin');
  const pin = randomBytes(8).toString('hex');
  writeFileSync(pinFile, `${pin}\n`, { mode: 0o600 });
  const token = 'sealpost-test';
  const run = (...args: string[]): void => {
    execFileSync('softhsm2-util', args, { env: { ...process.env, ...environment }, stdio: 'pipe' });
  };
  run('--init-token', '--free', '--label', token, '--so-pin', pin, '--pin', pin);
  const take = (label: string, id: string, text: string, ...more: string[]): void => {
    const file = join(directory, `${id}.import`);
    writeFileSync(file, text, { mode: 0o600 });
    run('--import', file, '--token', token, '--label', label, '--id', id, '--pin', pin, ...more);
  };
  const importKey = (label: string, id: string, key: KeyObject): void =>
    take(label, id, key.export({ format: 'pem', type: 'pkcs8' }) as string);
  return {
    makeEcKey(label, id, curve) {
      const args = [softHsmModule ?? '', token, pin, label, id, curve];
      const program = join(import.meta.dirname, 'make-token-key.ts');
      execFileSync(process.execPath, [program, ...args], { env: { ...process.env, ...environment }, stdio: 'pipe' });
    },
    place: { module: softHsmModule ?? '', token, pinFile },
    environment,
    importKey,
    makeRsaKey: (label, id) => importKey(label, id, generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey),
    // softhsm2-util reads the file as text: a key with a zero or a line feed in it would come out short.
    makeAesKey: (label, id) => take(label, id, randomBytes(16).toString('hex'), '--aes'),
  };
}
