// The examples of the README as one program, checked by the compiler and run, with the files that it reads.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { type Certificate, type CertificateProfile, issueCertificate } from '../src/index.ts';
import { mail } from './people.ts';

const room = join(import.meta.dirname, '..');
const root = join(room, '../..');
const dir = mkdtempSync(join(tmpdir(), 'sealpost-readme-'));
after(() => rmSync(dir, { recursive: true }));

interface Holder {
  readonly certificate: Certificate;
  readonly privateKey: KeyObject;
}

function issue(name: string, profile: CertificateProfile, issuer?: Holder): Holder {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const certificate = issueCertificate({
    subject: { commonName: name },
    ...(profile === 'ca' ? {} : { addresses: [`${name}@example.test`] }),
    publicKey: createPublicKey(privateKey),
    notBefore: new Date(Date.now() - 86_400_000),
    notAfter: new Date(Date.now() + 86_400_000),
    profile,
    issuer: issuer ?? { certificate: 'self', privateKey },
  });
  writeFileSync(join(dir, `${name}.pem`), certificate.pem);
  writeFileSync(join(dir, `${name}.key`), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  return { certificate, privateKey };
}

/** Every `ts` block, in order; the imports in front, each name once. */
function program(): string {
  const text = readFileSync(join(room, 'README.md'), 'utf8');
  const code = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, block = '']) => block).join('\n');
  const imports = new Map<string, Set<string>>();
  const rest = code.replace(/^import \{ (.*) \} from '(.*)';\n/gm, (_, names: string, from: string) => {
    imports.set(from, new Set([...(imports.get(from) ?? []), ...names.split(', ')]));
    return '';
  });
  const engine = pathToFileURL(join(room, 'src/index.ts')).pathname;
  const heads = [...imports].map(([from, names]) => {
    const target = from === '@sealpost/smime' ? engine : from;
    return `import { ${[...names].join(', ')} } from '${target}';\n`;
  });
  return `${heads.join('')}${rest}\nvoid signed;\n`;
}

test('the examples of the README are sound to the compiler, run, and say what they should', () => {
  const top = issue('root', 'ca');
  const issuing = issue('issuing', 'ca', top);
  issue('alice', 'smime', issuing);
  issue('bob', 'smime', issuing);
  writeFileSync(join(dir, 'mail.eml'), mail('alice@example.test', 'Dear Bob\r\n'));
  writeFileSync(join(dir, 'report.pdf'), 'a report');
  const openssl = (...args: string[]) => {
    const { status, stderr } = spawnSync('openssl', args, { cwd: dir });
    assert.equal(status, 0, stderr.toString());
  };
  const signer = ['-signer', 'alice.pem', '-inkey', 'alice.key', '-certfile', 'issuing.pem'];
  openssl('cms', '-sign', '-binary', '-in', 'report.pdf', ...signer, '-outform', 'DER', '-out', 'report.p7s');
  openssl('pkcs12', '-export', '-in', 'bob.pem', '-inkey', 'bob.key', '-out', 'bob.p12', '-passout', 'pass:secret');
  writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
  writeFileSync(join(dir, 'example.ts'), program());
  const { compilerOptions } = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8'));
  const typeRoots = [join(root, 'node_modules/@types')];
  writeFileSync(
    join(dir, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: { ...compilerOptions, typeRoots }, files: ['example.ts'] }),
  );
  const checked = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', dir]);
  assert.equal(checked.stdout.toString(), '');
  const { status, stdout, stderr } = spawnSync(process.execPath, ['example.ts'], { cwd: dir });
  assert.equal(status, 0, stderr.toString());
  const lines = stdout.toString().split('\n');
  assert.equal(lines[0], 'true undefined []');
  assert.equal(lines[1], 'opened true');
  assert.match(lines[2] ?? '', /^encrypted false false false \[ 'alice@example.test' \]$/);
  assert.ok(lines.includes("[ 'CN=bob', 'CN=issuing', 'CN=root' ] []"));
  assert.ok(lines.some((line) => line.startsWith('{ ok: true }')));
  assert.ok(stdout.includes('-----BEGIN CERTIFICATE-----'));
  assert.ok(lines.includes('1 1'));
});
