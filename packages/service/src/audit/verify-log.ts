// Verifies an audit log without the service: the chain, every checkpoint's signature, and, where a signed head was held elsewhere,
// that the log still reaches and holds it. What a crash tore off the end is told apart from what somebody changed.

import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import type { AuditRecord, ChainHead } from './chain.ts';
import { readLog } from './read-log.ts';
import { isGenuineHead, parseHead, type SignedHead } from './signed-head.ts';

/** A signed head with the key that signed it, as `sealpost audit head` gives it out. */
export interface HeldHead {
  readonly head: SignedHead;
  /** SPKI, base64. */
  readonly key: string;
}

/** What is wrong with a log that was tampered with. */
export type AuditFault =
  /** The record after the last good one was changed, or records were taken out or reordered. */
  | 'record-changed'
  /** A checkpoint is not signed by the store's key, or is for other records than those above it. */
  | 'checkpoint-forged'
  /** The log ends before the head that was held elsewhere. */
  | 'shorter-than-held'
  /** The log has another record where the held head was. */
  | 'other-than-held';

export interface AuditReport {
  readonly verdict: 'genuine' | 'torn' | 'tampered';
  readonly fault?: AuditFault;
  /** Number of the first record that is there; those before are in segments kept elsewhere. */
  readonly from: number;
  /** Number of the last good record. */
  readonly records: number;
  /** The head after it. */
  readonly head: ChainHead;
  /** Bytes of a record that a crash cut short. */
  readonly torn: number;
  readonly checkpoints: number;
  /** Number of the last record under a signature; whoever can write to the file may have rewritten those after it. */
  readonly signedUntil: number;
  /** SHA-256 of the key that signed, hex. */
  readonly key?: string;
  /** The key is the one held elsewhere; otherwise the log names it itself, and it has to be compared. */
  readonly keyHeld: boolean;
}

export async function verifyLog(file: string, held?: HeldHead): Promise<AuditReport> {
  let log = held?.head.log;
  let key = held?.key;
  let checkpoints = 0;
  let signedUntil = 0;
  let good: ChainHead | undefined;
  let fault: AuditFault | undefined;
  if (held && !isSigned(held.head, held.key)) fault = 'checkpoint-forged';

  let from: number | undefined;
  const state = await readLog(file, (line, head, before) => {
    from ??= head.seq;
    if (fault) return;
    if (line.includes('"kind":"checkpoint"')) {
      const record = JSON.parse(line) as AuditRecord;
      if (record.kind === 'checkpoint') {
        log ??= parseHead(record.head)?.log;
        key ??= record.key;
        if (!signs(record, before, log, key)) {
          fault = 'checkpoint-forged';
          return;
        }
        checkpoints++;
        signedUntil = head.seq - 1;
      }
    }
    if (held && head.seq === held.head.seq) {
      if (head.hash !== held.head.hash) {
        fault = 'other-than-held';
        return;
      }
      signedUntil = head.seq;
    }
    good = head;
  });

  if (!fault && state.kind === 'tampered') fault = 'record-changed';
  if (!fault && held && held.head.seq > state.head.seq) fault = 'shorter-than-held';
  const torn = state.kind === 'genuine' ? state.torn : 0;
  return {
    verdict: fault ? 'tampered' : torn > 0 ? 'torn' : 'genuine',
    ...(fault ? { fault } : {}),
    from: from ?? 1,
    records: good?.seq ?? 0,
    head: good ?? { seq: 0, hash: '0'.repeat(64) },
    torn,
    checkpoints,
    signedUntil,
    ...(key === undefined ? {} : { key: createHash('sha256').update(Buffer.from(key, 'base64')).digest('hex') }),
    keyHeld: held !== undefined,
  };
}

/** A checkpoint stands right after the head that it signs, and all of a log are by one key. */
function signs(
  record: AuditRecord & { kind: 'checkpoint' },
  { seq, hash }: ChainHead,
  log: string | undefined,
  key: string | undefined,
): boolean {
  const head = parseHead(record.head);
  if (!head || key === undefined || record.key !== key || head.log !== log) return false;
  return head.seq === seq && head.hash === hash && isSigned(head, key);
}

function isSigned(head: SignedHead, key: string): boolean {
  const publicKey = publicKeyOf(key);
  return publicKey !== undefined && isGenuineHead(head, publicKey);
}

/** Undefined when it is not an Ed25519 key. */
function publicKeyOf(key: string): KeyObject | undefined {
  try {
    const publicKey = createPublicKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'spki' });
    return publicKey.asymmetricKeyType === 'ed25519' ? publicKey : undefined;
  } catch {
    return undefined;
  }
}
