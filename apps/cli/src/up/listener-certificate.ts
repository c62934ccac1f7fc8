// The certificate that the SMTP listeners show: self-signed, for this machine's own use, its key encrypted on disk.

import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { issueCertificate } from '@sealpost/smime';
import type { ListenerTls } from './installation-file.ts';
import type { Layout } from './layout.ts';

const lifeMs = 825 * 86_400_000;

/** Made once and kept, so that a mail server that pinned it stays content. */
export function makeListenerCertificate(layout: Layout, passphraseFile: string): ListenerTls {
  const certificateFile = join(layout.secrets, 'smtp.crt');
  const keyFile = join(layout.secrets, 'smtp.key');
  if (existsSync(certificateFile) && existsSync(keyFile)) return { certificateFile, keyFile };

  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const now = Date.now();
  const certificate = issueCertificate({
    subject: { commonName: 'localhost' },
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1', '::1'],
    publicKey,
    notBefore: new Date(now - 3_600_000),
    notAfter: new Date(now + lifeMs),
    profile: 'tls-server',
    issuer: { certificate: 'self', privateKey },
  });
  const passphrase = readFileSync(passphraseFile, 'utf8');
  writeFileSync(keyFile, privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase }), {
    mode: 0o600,
  });
  writeFileSync(certificateFile, new X509Certificate(certificate.der).toString(), { mode: 0o600 });
  return { certificateFile, keyFile };
}
