// Certificates for TLS between test peers, made by the openssl program: a CA and a server or client certificate under it.

import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface TlsTestFiles {
  readonly caFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
  /** Set where a passphrase was given. */
  readonly passphraseFile?: string;
  /** PEM. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface TlsTestOptions {
  /** Host names and IP addresses in the certificate. */
  readonly names?: readonly string[];
  /** Encrypts the key file. */
  readonly passphrase?: string;
  /** Days of validity; negative for one that has expired. */
  readonly days?: number;
  /** Begins the file names, for more than one set in a directory. */
  readonly prefix?: string;
}

/** Makes them in `directory`. P-256 keys. */
export async function makeTlsFiles(directory: string, options: TlsTestOptions = {}): Promise<TlsTestFiles> {
  const { names = ['localhost', '127.0.0.1'], passphrase, days = 30, prefix = 'tls' } = options;
  const at = (name: string) => join(directory, `${prefix}-${name}`);
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  const subject = ['-subj', `/CN=${names[0] ?? 'test'}`];
  const altNames = names.map((name) => (/^[0-9.]+$|:/.test(name) ? `IP:${name}` : `DNS:${name}`)).join(',');
  await run('openssl', [
    ...['req', '-x509', ...newKey, '-nodes', '-days', '365', '-subj', `/CN=${prefix} test CA`],
    ...['-keyout', at('ca.key'), '-out', at('ca.crt')],
  ]);
  let passphraseFile: string | undefined;
  if (passphrase !== undefined) {
    passphraseFile = at('passphrase');
    await writeFile(passphraseFile, `${passphrase}\n`);
  }
  const protection = passphraseFile === undefined ? ['-nodes'] : ['-passout', `file:${passphraseFile}`];
  await run('openssl', ['req', '-new', ...newKey, ...protection, ...subject, '-keyout', at('key'), '-out', at('csr')]);
  await writeFile(at('extensions'), `subjectAltName=${altNames}\nbasicConstraints=CA:FALSE\n`);
  await run('openssl', [
    ...['x509', '-req', '-in', at('csr'), '-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial'],
    ...['-extfile', at('extensions'), '-out', at('crt'), '-days', String(days)],
  ]);
  const [ca, cert, key] = await Promise.all([at('ca.crt'), at('crt'), at('key')].map((file) => readFile(file, 'utf8')));
  return {
    caFile: at('ca.crt'),
    certificateFile: at('crt'),
    keyFile: at('key'),
    ...(passphraseFile === undefined ? {} : { passphraseFile }),
    ca: ca ?? '',
    cert: cert ?? '',
    key: key ?? '',
  };
}
