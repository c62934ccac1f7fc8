// Shares on their way to the custodians: a file each, readable by its owner only, never written over another. With the custodians'
// public keys each is sealed to its own, so whoever carries the files cannot open anything.

import { createPublicKey, type KeyObject } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { SetupError } from '@sealpost/core';
import { formatShare, sealShare } from './share-text.ts';

export interface Custodian {
  /** Part of the file's name. */
  readonly name: string;
  readonly key: KeyObject;
}

export interface ShareFiles {
  readonly directory: string;
  /** One a share, or none: then the shares are in clear. */
  readonly custodians: readonly Custodian[];
}

/** Reads `NAME=FILE` with an X25519 public key in PEM. Throws SetupError. */
export function readCustodian(text: string): Custodian {
  const [, name, file] = /^([A-Za-z0-9][A-Za-z0-9._-]{0,62})=(.+)$/.exec(text) ?? [];
  if (!name || !file) throw new SetupError('a custodian is written as NAME=PUBLIC-KEY.pem');
  try {
    const key = createPublicKey(readFileSync(file));
    if (key.asymmetricKeyType === 'x25519') return { name, key };
  } catch {
    // Said below.
  }
  throw new SetupError(`${file} is not an X25519 public key in PEM`);
}

/** Writes every share; returns the files. Throws SetupError when one exists, or custodians and shares differ in number. */
export function writeShares(
  shares: readonly Buffer[],
  slot: { readonly label: string; readonly threshold: number; readonly installation: string },
  { directory, custodians }: ShareFiles,
): string[] {
  if (custodians.length > 0 && custodians.length !== shares.length) {
    throw new SetupError(`there are ${shares.length} shares and ${custodians.length} custodians`);
  }
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return shares.map((share, at) => {
    const custodian = custodians[at];
    const file = join(directory, `${slot.label}-${custodian?.name ?? at + 1}.share`);
    const note = [
      `# Sealpost: share ${at + 1} of ${shares.length} of the slot "${slot.label}" of ${slot.installation}.`,
      `# Any ${slot.threshold} of them open every key. ${custodian ? `Sealed to ${custodian.name}.` : 'Keep it secret.'}`,
    ];
    write(file, `${note.join('\n')}\n${custodian ? sealShare(share, custodian.key) : formatShare(share)}\n`);
    return file;
  });
}

function write(file: string, text: string): void {
  let handle: number;
  try {
    handle = openSync(file, 'wx', 0o600);
  } catch (error) {
    throw new SetupError(`${file} exists already, or cannot be made`, { cause: error });
  }
  try {
    writeSync(handle, text);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
