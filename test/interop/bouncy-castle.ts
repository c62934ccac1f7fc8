// Bouncy Castle both ways. All its jobs run in one virtual machine, started when the first case asks for its result.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Absent, Case } from './case.ts';
import {
  alice,
  BODY,
  bob,
  ENTITY,
  type EncryptionKind,
  encryptedByUs,
  encryptions,
  objectOf,
  openObjectForBob,
  type SignatureKind,
  signatures,
  signedByUs,
} from './matrix.ts';

const jars = ['bcmail', 'bcpkix', 'bcutil', 'bcprov'].map((name) => `/usr/share/java/${name}.jar`);
const source = join(import.meta.dirname, '../../packages/smime/test/bouncy/Peer.java');

export async function bouncyCastleCases(): Promise<Case[] | Absent> {
  const there = jars.every((jar) => existsSync(jar)) && spawnSync('javac', ['-version']).status === 0;
  if (!there) return { set: 'bouncy castle live', reason: 'no libbcmail-java or no JDK here' };
  const castle = new Castle();
  process.on('exit', () => castle.close());
  const ours = 'bouncy castle live, ours';
  const theirs = 'bouncy castle live, theirs';
  const cases: Case[] = [];
  for (const kind of signatures) {
    const job = await castle.verifyOurs(kind);
    cases.push({ set: ours, name: kind.name, run: () => assert.ok(castle.result(job).includes(BODY)) });
  }
  for (const kind of encryptions) {
    const job = await castle.decryptOurs(kind);
    cases.push({ set: ours, name: kind.name, run: () => assert.ok(castle.result(job).includes(BODY)) });
  }
  for (const kind of signatures) {
    const job = castle.sign(kind);
    cases.push({ set: theirs, name: kind.name, run: () => isVerifiedByUs(kind, castle.result(job)) });
  }
  for (const kind of encryptions) {
    const job = castle.encrypt(kind);
    cases.push({ set: theirs, name: kind.name, run: () => isDecryptedByUs(kind, castle.result(job)) });
  }
  return cases;
}

async function isVerifiedByUs({ digest, opaque }: SignatureKind, object: Buffer): Promise<void> {
  // Bouncy Castle stamps the time of the machine, which is after the test certificates begin and before they end.
  const result = await openObjectForBob(object, 'rsa', opaque ? undefined : Buffer.from(ENTITY));
  assert.ok(result.kind === 'opened' && result.verdict.verified, JSON.stringify(result));
  assert.equal(result.verdict.signers[0]?.digest, digest);
}

async function isDecryptedByUs({ key, cipher }: EncryptionKind, object: Buffer): Promise<void> {
  const result = await openObjectForBob(object, key);
  assert.ok(result.kind === 'opened' && result.content.toString('latin1') === ENTITY, JSON.stringify(result));
  const [layer] = result.verdict.layers;
  assert.ok(layer?.kind === 'encrypted' && layer.cipher === cipher);
}

interface Job {
  readonly line: number;
  readonly out: string;
}

class Castle {
  readonly #directory = mkdtempSync(join(tmpdir(), 'sealpost-castle-'));
  readonly #jobs: string[] = [];
  #results: readonly string[] | undefined;
  #files = 0;

  sign({ key, pss, digest, opaque }: SignatureKind): Job {
    const { certificate, privateKey } = alice(key);
    const sha = digest.toUpperCase();
    const scheme = key !== 'rsa' ? `${sha}withECDSA` : pss ? `${sha}WITHRSAANDMGF1` : `${sha}withRSA`;
    const files = [this.#key(privateKey), this.#file(certificate.der), this.#file(Buffer.from(ENTITY))];
    const out = this.#file();
    return this.#job(out, 'sign', scheme, key === 'rsa' ? 'RSA' : 'EC', ...files, out, opaque ? 'opaque' : 'detached');
  }

  encrypt({ key, oaep, cipher }: EncryptionKind): Job {
    const method =
      key === 'rsa' ? (oaep ? 'oaep-SHA-256/SHA-256' : 'rsa') : key === 'p384' ? 'ecdh-sha384' : 'ecdh-sha256';
    const out = this.#file();
    const name = cipher.toUpperCase().replace('-', '').replace('-', '_');
    return this.#job(
      out,
      'encrypt',
      name,
      method,
      this.#file(bob(key).certificate.der),
      this.#file(Buffer.from(ENTITY)),
      out,
    );
  }

  async verifyOurs(kind: SignatureKind): Promise<Job> {
    const { object, content } = objectOf(await signedByUs(kind));
    const beside = content === undefined ? '-' : this.#file(content);
    const out = this.#file();
    return this.#job(out, 'verify', this.#file(object), this.#file(alice(kind.key).certificate.der), beside, out);
  }

  async decryptOurs(kind: EncryptionKind): Promise<Job> {
    const { object } = objectOf(await encryptedByUs(kind));
    const out = this.#file();
    return this.#job(
      out,
      'decrypt',
      kind.key === 'rsa' ? 'RSA' : 'EC',
      this.#key(bob(kind.key).privateKey),
      this.#file(object),
      out,
    );
  }

  /** What the job made; throws with its reason when it failed. */
  result({ line, out }: Job): Buffer {
    this.#results ??= this.#run();
    assert.equal(this.#results[line], 'ok');
    return readFileSync(out);
  }

  close(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #run(): readonly string[] {
    const list = this.#file(Buffer.from(this.#jobs.join('\n')));
    const log = this.#file();
    const { status, stderr } = spawnSync('java', ['-cp', jars.join(':'), source, list, log]);
    assert.equal(status, 0, stderr.toString('utf8'));
    return readFileSync(log, 'utf8').split('\n');
  }

  #job(out: string, ...fields: readonly string[]): Job {
    return { line: this.#jobs.push(fields.join('\t')) - 1, out };
  }

  #key(key: ReturnType<typeof alice>['privateKey']): string {
    return this.#file(key.export({ type: 'pkcs8', format: 'der' }));
  }

  #file(content?: Buffer): string {
    const path = join(this.#directory, String(this.#files++));
    if (content !== undefined) writeFileSync(path, content);
    return path;
  }
}
