// The file of a `file` slot: in production a secret manager mounts it, for this process only; one that `init` had to make stands
// beside the store that it opens, which is good for development and says so in its first line.

import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fstatSync, fsyncSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { SetupError } from '@sealpost/core';

const developmentLine = 'sealpost development slot: not for production\n';
/** Less than 256 bits are no root of everything. */
const leastLength = 32;
const longest = 64 * 1024;

export interface SlotSecret {
  readonly bytes: Buffer;
  readonly development: boolean;
}

export function slotFileExists(file: string): boolean {
  return existsSync(file);
}

/** Makes a development file. */
export function makeSlotFile(file: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const handle = openSync(file, 'wx', 0o600);
  try {
    writeSync(handle, `${developmentLine}${randomBytes(32).toString('base64url')}\n`);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Reads the secret. Throws SetupError when others can read the file, or it holds too little. */
export function readSlotFile(file: string): SlotSecret {
  let handle: number;
  try {
    handle = openSync(file, 'r');
  } catch (error) {
    throw new SetupError(`the slot file ${file} cannot be read`, { cause: error });
  }
  try {
    const { mode, uid, size } = fstatSync(handle);
    const me = process.getuid?.();
    if ((mode & 0o077) !== 0)
      throw new SetupError(`the slot file ${file} must be readable by its owner only (mode 0400)`);
    if (me !== undefined && uid !== me && uid !== 0)
      throw new SetupError(`the slot file ${file} belongs to somebody else`);
    if (size > longest) throw new SetupError(`the slot file ${file} is too long to be one`);
    const bytes = trimmed(readFileSync(handle));
    if (bytes.length < leastLength) throw new SetupError(`the slot file ${file} holds less than ${leastLength} bytes`);
    return { bytes, development: bytes.subarray(0, developmentLine.length).toString('latin1') === developmentLine };
  } finally {
    closeSync(handle);
  }
}

/** Without the line end that editors add. */
function trimmed(bytes: Buffer): Buffer {
  let end = bytes.length;
  while (end > 0 && (bytes[end - 1] === 0x0a || bytes[end - 1] === 0x0d)) end--;
  return bytes.subarray(0, end);
}
