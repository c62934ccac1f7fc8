// A partner of the gateway's organisation who uses OpenSSL: a CA, people with keys and certificates, and what they do by hand.

import { execFileSync } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { issueCertificate, parseCertificate } from '@sealpost/smime';

export interface Person {
  readonly address: string;
  readonly certificate: string;
  readonly key: string;
}

export interface Partner {
  /** PEM file of its CA. */
  readonly ca: string;
  /** Any file name inside the partner's own directory. */
  file(name: string): string;
  person(address: string, options?: { readonly expired?: boolean }): Person;
  /** Signs and encrypts a MIME entity; the whole message with the given header fields. */
  protect(entity: string, about: { signer?: Person; recipients?: readonly string[]; headers: string }): Buffer;
  decrypt(message: Buffer, person: Person): Buffer;
  /** Content of a signed message whose signer chains to `ca` and owns `signer`; throws OpenSSL's words otherwise. */
  verify(message: Buffer, ca: string): { content: Buffer; signers: string };
  close(): void;
}

export function makePartner(name: string): Partner {
  const directory = mkdtempSync(join(tmpdir(), `sealpost-${name}-`));
  const file = (part: string): string => join(directory, part);
  const openssl = (...args: string[]): Buffer =>
    execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: directory });
  openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-days',
    '3650',
    '-subj',
    `/CN=${name} CA`,
    '-addext',
    'basicConstraints=critical,CA:TRUE',
    '-addext',
    'keyUsage=critical,keyCertSign,cRLSign',
  );
  let serial = 0;

  function currentPerson(address: string, id: string): void {
    writeFileSync(
      file('extensions'),
      [
        `subjectAltName=email:${address}`,
        'keyUsage=critical,digitalSignature,keyEncipherment',
        'extendedKeyUsage=emailProtection',
        'basicConstraints=critical,CA:FALSE',
        'subjectKeyIdentifier=hash',
        'authorityKeyIdentifier=keyid',
      ].join('\n'),
    );
    openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', `${id}.key`, '-out', `${id}.csr`, '-subj', `/CN=${id}`);
    const issuer = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-set_serial', String(1000 + serial)];
    openssl(
      'x509',
      '-req',
      '-in',
      `${id}.csr`,
      ...issuer,
      '-extfile',
      'extensions',
      '-out',
      `${id}.pem`,
      '-days',
      '365',
    );
  }

  /** OpenSSL 3.0 cannot be told a time in the past, so our own issuing does it. */
  function expiredPerson(address: string, id: string): void {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const certificate = issueCertificate({
      subject: { commonName: id },
      addresses: [address],
      publicKey,
      notBefore: new Date('2023-01-01T00:00:00Z'),
      notAfter: new Date('2024-01-01T00:00:00Z'),
      profile: 'smime',
      issuer: {
        certificate: parseCertificate(readFileSync(file('ca.pem'))),
        privateKey: createPrivateKey(readFileSync(file('ca.key'))),
      },
    });
    writeFileSync(file(`${id}.pem`), new X509Certificate(certificate.der).toString());
    writeFileSync(file(`${id}.key`), privateKey.export({ format: 'pem', type: 'pkcs8' }));
  }

  return {
    ca: file('ca.pem'),
    file,
    person(address, { expired = false } = {}) {
      const id = `person${++serial}`;
      if (expired) expiredPerson(address, id);
      else currentPerson(address, id);
      return { address, certificate: file(`${id}.pem`), key: file(`${id}.key`) };
    },
    protect(entity, { signer, recipients = [], headers }) {
      writeFileSync(file('in.eml'), entity);
      let current = 'in.eml';
      if (signer) {
        openssl(
          'cms',
          '-sign',
          '-in',
          current,
          '-signer',
          signer.certificate,
          '-inkey',
          signer.key,
          '-out',
          'signed.eml',
          '-md',
          'sha256',
        );
        current = 'signed.eml';
      }
      if (recipients.length > 0) {
        openssl('cms', '-encrypt', '-aes256', '-in', current, '-out', 'encrypted.eml', ...recipients);
        current = 'encrypted.eml';
      }
      return Buffer.from(headers + readFileSync(file(current), 'latin1').replace(/\r?\n/g, '\r\n'), 'latin1');
    },
    decrypt(message, person) {
      writeFileSync(file('sealed.eml'), message);
      return openssl('cms', '-decrypt', '-in', 'sealed.eml', '-recip', person.certificate, '-inkey', person.key);
    },
    verify(message, ca) {
      writeFileSync(file('signed.eml'), message);
      openssl(
        'cms',
        '-verify',
        '-in',
        'signed.eml',
        '-CAfile',
        ca,
        '-purpose',
        'smimesign',
        '-out',
        'content',
        '-signer',
        'signers.pem',
      );
      return {
        content: readFileSync(file('content')),
        signers: openssl('x509', '-in', 'signers.pem', '-noout', '-text').toString(),
      };
    },
    close() {
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** A message of CRLF lines. */
export function mail(headers: Readonly<Record<string, string>>, body: string): Buffer {
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`${fields.join('')}\r\n${body.replace(/\r?\n/g, '\r\n')}`);
}
