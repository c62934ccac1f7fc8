// The head of the audit log, signed (Ed25519) by the store's audit key: given back with every answer, held by clients and people
// elsewhere, and written into the log itself as its checkpoints. Whoever cut or rewrote the log cannot make one that agrees.

import { type KeyObject, sign, verify } from 'node:crypto';
import { writeFrame } from '@sealpost/core';
import type { ChainHead } from './chain.ts';

/** Header of requests (the highest that the client saw) and answers (the one on disk now). */
export const headHeader = 'sealpost-audit-head';

const headVersion = 1;
/** Ed25519. */
const headSuite = 1;

/** `seq` and `hash` of a record, in the log with this name. */
export interface SignedHead extends ChainHead {
  /** 32 hex digits, made with the log: a log that was given up and begun anew has another. */
  readonly log: string;
  /** Ed25519, base64url. */
  readonly signature: string;
}

export function signHead(log: string, { seq, hash }: ChainHead, privateKey: KeyObject): SignedHead {
  return { log, seq, hash, signature: sign(null, bound(log, { seq, hash }), privateKey).toString('base64url') };
}

export function isGenuineHead({ log, seq, hash, signature }: SignedHead, publicKey: KeyObject): boolean {
  return verify(null, bound(log, { seq, hash }), publicKey, Buffer.from(signature, 'base64url'));
}

/** One word: version, log, number, hash and signature, between dots. */
export function formatHead({ log, seq, hash, signature }: SignedHead): string {
  return `${headVersion}.${log}.${seq}.${hash}.${signature}`;
}

/** The form only; undefined for anything else. */
export function parseHead(text: string): SignedHead | undefined {
  const [, log, seq, hash, signature] =
    /^1\.([0-9a-f]{32})\.([1-9]\d{0,14})\.([0-9a-f]{64})\.([A-Za-z0-9_-]{86})$/.exec(text) ?? [];
  return log && seq && hash && signature ? { log, seq: Number(seq), hash, signature } : undefined;
}

function bound(log: string, { seq, hash }: ChainHead): Buffer {
  return writeFrame(headVersion, headSuite, ['sealpost audit head', log, String(seq), hash]);
}
