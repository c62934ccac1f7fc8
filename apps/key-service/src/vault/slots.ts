// Seal slots: each wraps the same 32-byte root key under a secret of its own, so that any one of them opens the store.
// `passphrase` stretches with Argon2id (RFC 9106), `file` takes a secret manager's mount. Shares and HSM slots will be kinds here.

import { argon2, hkdfSync, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { fail, readFrame, writeFrame } from '@sealpost/core';
import { box, unbox, using } from './box.ts';

export type SlotKind = 'passphrase' | 'file';

/** A slot as the store keeps it. */
export interface Slot {
  readonly kind: SlotKind;
  /** Version, suite, then salt, Argon2id's cost (memory KiB, passes, lanes; zeros for a file) and the wrapped root. */
  readonly bytes: Buffer;
}

const slotVersion = 1;
/** Argon2id or HKDF-SHA256 by kind, then AES-256-GCM. */
const slotSuite = 1;
const rootLength = 32;

interface Cost {
  readonly memory: number;
  readonly passes: number;
  readonly parallelism: number;
}

/** The second recommended option of RFC 9106 §4: 64 MiB, 3 passes, 4 lanes; some 0.15 s here. */
const passphraseCost: Cost = { memory: 64 * 1024, passes: 3, parallelism: 4 };
const noCost: Cost = { memory: 0, passes: 0, parallelism: 0 };
/** A store that somebody else wrote must not make the service take all memory: 1 GiB, 16 passes. Least: RFC 9106 §3.1. */
const highestCost: Cost = { memory: 1024 * 1024, passes: 16, parallelism: 64 };

const derive = promisify(argon2);

export function newRoot(): Buffer {
  return randomBytes(rootLength);
}

/** Wraps the root for the store with this id. `secret`: the passphrase as UTF-8 (NFC) or the file's bytes. */
export async function makeSlot(kind: SlotKind, secret: Buffer, root: Buffer, storeId: string): Promise<Slot> {
  const salt = randomBytes(16);
  const cost = kind === 'passphrase' ? passphraseCost : noCost;
  const key = await slotKey(kind, secret, salt, cost);
  const wrapped = using(key, () => box(key, root, bound(kind, salt, cost, storeId)));
  return { kind, bytes: writeFrame(slotVersion, slotSuite, [salt, costField(cost), wrapped]) };
}

/** The root key, or undefined when the secret is not this slot's. The caller overwrites it after use. */
export async function openSlot(slot: Slot, secret: Buffer, storeId: string): Promise<Buffer | undefined> {
  if (slot.bytes[0] !== slotVersion || slot.bytes[1] !== slotSuite) throw fail('version-unsupported');
  const [salt, costs, wrapped] = readFrame(slot.bytes, 3).fields as [Buffer, Buffer, Buffer];
  const cost = readCost(costs, slot.kind);
  const key = await slotKey(slot.kind, secret, salt, cost);
  try {
    return unbox(key, wrapped, bound(slot.kind, salt, cost, storeId));
  } catch {
    return undefined;
  } finally {
    key.fill(0);
  }
}

/** The same passphrase typed on two keyboards is the same bytes (Unicode NFC). */
export function passphraseBytes(text: string): Buffer {
  return Buffer.from(text.normalize('NFC'), 'utf8');
}

async function slotKey(kind: SlotKind, secret: Buffer, salt: Buffer, cost: Cost): Promise<Buffer> {
  if (kind === 'file') return Buffer.from(hkdfSync('sha256', secret, salt, 'sealpost slot file', rootLength));
  return await derive('argon2id', { message: secret, nonce: salt, ...cost, tagLength: rootLength });
}

function bound(kind: SlotKind, salt: Buffer, cost: Cost, storeId: string): Buffer {
  return writeFrame(slotVersion, slotSuite, ['sealpost slot', storeId, kind, salt, costField(cost)]);
}

function costField({ memory, passes, parallelism }: Cost): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE(memory, 0);
  bytes.writeUInt32BE(passes, 4);
  bytes.writeUInt32BE(parallelism, 8);
  return bytes;
}

function readCost(bytes: Buffer, kind: SlotKind): Cost {
  if (bytes.length !== 12) throw fail('sealed-malformed');
  const cost = {
    memory: bytes.readUInt32BE(0),
    passes: bytes.readUInt32BE(4),
    parallelism: bytes.readUInt32BE(8),
  };
  const isOutside =
    (kind === 'passphrase' && (cost.memory < 8 * cost.parallelism || cost.passes < 1 || cost.parallelism < 1)) ||
    cost.memory > highestCost.memory ||
    cost.passes > highestCost.passes ||
    cost.parallelism > highestCost.parallelism;
  if (isOutside) throw fail('sealed-malformed');
  return cost;
}
