// gpgsm as a peer, with a home of its own and the keys it is given. Its agent ends with it.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Certificate } from '../src/index.ts';
import type { Openssl } from './openssl.ts';
import type { Person } from './people.ts';

const PASSPHRASE = 'x';

export class Gpgsm {
  readonly #home: string = mkdtempSync(join(tmpdir(), 'sealpost-gpgsm-'));

  constructor(root: Certificate) {
    chmodSync(this.#home, 0o700);
    const fingerprint = createHash('sha1').update(root.der).digest('hex').toUpperCase();
    writeFileSync(join(this.#home, 'gpgsm.conf'), 'disable-crl-checks\ndisable-dirmngr\n');
    writeFileSync(join(this.#home, 'gpg-agent.conf'), 'allow-loopback-pinentry\n');
    writeFileSync(join(this.#home, 'trustlist.txt'), `${fingerprint} S relax\n`);
    this.run(['--import'], root.der);
  }

  static available(): boolean {
    return spawnSync('gpgsm', ['--version']).status === 0;
  }

  importPerson(person: Person, openssl: Openssl): void {
    const args = ['-inkey', openssl.key(person.privateKey), '-in', openssl.certificate(person.certificate)];
    const once = () =>
      this.run(['--import'], openssl.run(['pkcs12', '-export', '-legacy', '-passout', `pass:${PASSPHRASE}`, ...args]));
    // gpgsm 2.2 cannot read one such file in a hundred, whatever the key; made once more, with another salt, it can.
    for (let tries = 3; tries > 1; tries--) {
      try {
        once();
        return;
      } catch {
        // The last attempt below tells why.
      }
    }
    once();
  }

  /** Output of the command; throws with its messages when it fails. */
  run(args: readonly string[], input: Buffer): Buffer {
    const file = join(this.#home, 'input');
    writeFileSync(file, input);
    const secret = ['--pinentry-mode', 'loopback', '--passphrase-fd', '0'];
    const all = ['--batch', ...secret, '--faked-system-time', '20260601T120000', '--output', '-', ...args, file];
    const options = { input: `${PASSPHRASE}\n`, env: { ...process.env, GNUPGHOME: this.#home } };
    const { status, stdout, stderr } = spawnSync('gpgsm', all, options);
    if (status !== 0) throw new Error(`gpgsm ${args.join(' ')}: ${stderr.toString('latin1')}`);
    return stdout;
  }

  close(): void {
    spawnSync('gpgconf', ['--kill', 'all'], { env: { ...process.env, GNUPGHOME: this.#home } });
    rmSync(this.#home, { recursive: true, force: true });
  }
}
