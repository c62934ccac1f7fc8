// Asks for leases together: what is wanted while earlier questions are on their way goes with the next one. A worker that starts
// with a full queue wants dozens of keys at once, and most of what one costs is the request around it (measured).

import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { type KeyId, SealpostError, type TraceContext } from '@sealpost/core';
import { errorOfCode, type KeyConnection } from './key-connection.ts';
import type { KeyAnswer } from './key-protocol/operations.ts';
import { maxEnvelope, maxLeases } from './key-protocol/values.ts';
import { ephemeralBytes } from './sealed-key.ts';

/** While one is answered the next one is on its way. */
const maxInFlight = 2;

export interface LeaseWish {
  readonly keyId: KeyId;
  readonly ticket: Buffer;
  readonly envelope: Buffer;
  readonly trace?: TraceContext | undefined;
}

/** A sealed key and the private half of what it was sealed to. */
export interface SealedLease {
  readonly sealed: KeyAnswer<'lease'>;
  readonly ephemeral: KeyObject;
}

interface Waiting {
  readonly wish: LeaseWish;
  readonly done: (lease: SealedLease) => void;
  readonly failed: (error: unknown) => void;
}

/** Errors of one wish are its own; those of a request are of all that went with it. */
export function leaseBatches(connection: KeyConnection, instance: string): (wish: LeaseWish) => Promise<SealedLease> {
  const waiting: Waiting[] = [];
  let inFlight = 0;
  let isPlanned = false;

  function plan(): void {
    if (isPlanned) return;
    isPlanned = true;
    // One turn later, so that what is wanted together goes together.
    setImmediate(() => {
      isPlanned = false;
      while (waiting.length > 0 && inFlight < maxInFlight) void send(take());
    });
  }

  function take(): Waiting[] {
    let bytes = 0;
    const fitting = waiting.findIndex(({ wish }, at) => {
      bytes += wish.envelope.length + wish.ticket.length;
      return at === maxLeases || (at > 0 && bytes > maxEnvelope);
    });
    return waiting.splice(0, fitting < 0 ? waiting.length : fitting);
  }

  async function send(batch: readonly Waiting[]): Promise<void> {
    inFlight += 1;
    const { publicKey, privateKey: ephemeral } = generateKeyPairSync('x25519');
    const items = batch.map(({ wish: { trace, ...rest } }) => ({
      ...rest,
      ...(trace ? { traceparent: trace.traceparent } : {}),
    }));
    try {
      const answer = await connection.call('leases', { instance, ephemeral: ephemeralBytes(publicKey), items });
      batch.forEach(({ done, failed }, at) => {
        const { lease, code } = answer.leases[at] ?? {};
        if (lease) done({ sealed: lease, ephemeral });
        else failed(errorOfCode(code));
      });
    } catch (error) {
      for (const { failed } of batch) failed(anew(error));
    } finally {
      inFlight -= 1;
      if (waiting.length > 0) plan();
    }
  }

  return (wish) =>
    new Promise((done, failed) => {
      waiting.push({ wish, done, failed });
      plan();
    });
}

/** Each job's log shows an error of its own. */
function anew(error: unknown): unknown {
  return error instanceof SealpostError ? new SealpostError(error.code, error.cause) : error;
}
