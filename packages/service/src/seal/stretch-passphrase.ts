// Argon2id (RFC 9106) over a passphrase. In a process with `--secure-heap` OpenSSL takes the whole memory of it from there, so one runs
// at a time: the key service's heap has room for one besides the keys, and two people may open at once.

import { argon2 } from 'node:crypto';
import { promisify } from 'node:util';
import type { PassphraseCost } from './slot-forms.ts';

const derive = promisify(argon2);
const tagLength = 32;

let before: Promise<unknown> = Promise.resolve();

/** 32 bytes, which the caller overwrites after use. */
export function stretchPassphrase(passphrase: Buffer, salt: Buffer, cost: PassphraseCost): Promise<Buffer> {
  const { memory, passes, parallelism } = cost;
  const mine = before.then(() =>
    derive('argon2id', { message: passphrase, nonce: salt, memory, passes, parallelism, tagLength }),
  );
  before = mine.catch(() => undefined);
  return mine;
}
