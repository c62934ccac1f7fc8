// The openssl command as a peer, on files in a directory of its own.
import { spawnSync } from 'node:child_process';
import type { KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Certificate } from '../src/index.ts';

export class Openssl {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'sealpost-openssl-'));
  #files = 0;

  file(content: Buffer | string): string {
    const path = join(this.directory, String(this.#files++));
    writeFileSync(path, content);
    return path;
  }

  certificate(certificate: Certificate): string {
    return this.file(certificate.pem);
  }

  key(key: KeyObject): string {
    return this.file(key.export({ type: 'pkcs8', format: 'pem' }));
  }

  /** Output of the command; throws with its error text when it fails. */
  run(args: readonly string[], input?: Buffer): Buffer {
    const { status, stdout, stderr } = spawnSync('openssl', args, {
      ...(input === undefined ? {} : { input }),
      maxBuffer: 1 << 28,
    });
    if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr.toString('latin1')}`);
    return stdout;
  }

  close(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
