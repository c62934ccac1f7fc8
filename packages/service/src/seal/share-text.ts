// A share as custodians keep it: one line of text with a checksum, plain or sealed to the custodian's own X25519 key; and on its way
// to the service, sealed to the key that the process made when it started.

import { createHash, type KeyObject } from 'node:crypto';
import { SetupError, x25519PublicKey } from '@sealpost/core';
import { openBox, sealBox } from './sealed-box.ts';
import { shareLength } from './shamir.ts';

const plainMark = 'sealpost-share-1.';
const sealedMark = 'sealpost-sealed-share-1.';
const checkLength = 4;
/** Longest file with one: comments and a line of some 150 characters. */
export const maxShareFile = 4 * 1024;

export function formatShare(share: Buffer): string {
  return plainMark + Buffer.concat([share, checkOf(share)]).toString('base64url');
}

/** Sealed to a custodian's public key: only the private half gives the share back. */
export function sealShare(share: Buffer, custodian: KeyObject): string {
  return sealedMark + sealBox(share, custodian, ['sealpost custodian share']).toString('base64url');
}

/** The share in a file's text, comments left out. Throws SetupError for damage, and for a sealed one without its key. */
export function readShare(text: string, custodian?: KeyObject): Buffer {
  const line = text
    .split(/\r?\n/)
    .map((each) => each.trim())
    .find((each) => each.startsWith(plainMark) || each.startsWith(sealedMark));
  if (line === undefined) throw new SetupError('there is no share in this file');
  if (line.startsWith(sealedMark)) {
    if (!custodian) throw new SetupError('the share is sealed; its custodian opens it with --share-key FILE');
    try {
      const box = Buffer.from(line.slice(sealedMark.length), 'base64url');
      return openBox(box, custodian, ['sealpost custodian share']);
    } catch {
      throw new SetupError('the share is damaged, or sealed to another key');
    }
  }
  const bytes = Buffer.from(line.slice(plainMark.length), 'base64url');
  const share = bytes.subarray(0, shareLength);
  if (bytes.length !== shareLength + checkLength || !checkOf(share).equals(bytes.subarray(shareLength))) {
    throw new SetupError('the share is damaged: compare it with what was written down');
  }
  return share;
}

/** For the service that named `unsealKey` (32 bytes) in its status. */
export function shareForService(share: Buffer, unsealKey: Buffer): Buffer {
  return sealBox(share, x25519PublicKey(unsealKey), ['sealpost unseal share']);
}

/** In the service. Errors: `version-unsupported`, `sealed-malformed`. */
export function openServiceShare(sealed: Buffer, unsealKey: KeyObject): Buffer {
  return openBox(sealed, unsealKey, ['sealpost unseal share']);
}

/** Finds what was mistyped; whoever wants to cheat is found by the commitment. */
function checkOf(share: Buffer): Buffer {
  return createHash('sha256').update(share).digest().subarray(0, checkLength);
}
