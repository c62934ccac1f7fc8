// Slots as the first stores have them: a passphrase or a file, whose derived key wraps the root directly. They open as ever; new ones
// are made by slots.ts.

import { hkdfSync } from 'node:crypto';
import { fail, readFrame, writeFrame } from '@sealpost/core';
import { highestCost, type PassphraseCost, stretchPassphrase } from '@sealpost/service';
import { unbox } from './box.ts';

type FirstKind = 'passphrase' | 'file';

export const firstVersion = 1;
/** Argon2id or HKDF-SHA256 by kind, then AES-256-GCM. */
const firstSuite = 1;
const rootLength = 32;

/** The root key, or undefined when the secret is not this slot's. The caller overwrites it after use. */
export async function openFirstSlot(
  kind: FirstKind,
  bytes: Buffer,
  secret: Buffer,
  storeId: string,
): Promise<Buffer | undefined> {
  if (bytes[1] !== firstSuite) throw fail('version-unsupported');
  const [salt, costs, wrapped] = readFrame(bytes, 3).fields as [Buffer, Buffer, Buffer];
  const cost = readCost(costs, kind);
  const key = await slotKey(kind, secret, salt, cost);
  try {
    return unbox(key, wrapped, bound(kind, salt, costs, storeId));
  } catch {
    return undefined;
  } finally {
    key.fill(0);
  }
}

async function slotKey(kind: FirstKind, secret: Buffer, salt: Buffer, cost: PassphraseCost): Promise<Buffer> {
  if (kind === 'file') return Buffer.from(hkdfSync('sha256', secret, salt, 'sealpost slot file', rootLength));
  return await stretchPassphrase(secret, salt, cost);
}

function bound(kind: FirstKind, salt: Buffer, costs: Buffer, storeId: string): Buffer {
  return writeFrame(firstVersion, firstSuite, ['sealpost slot', storeId, kind, salt, costs]);
}

function readCost(bytes: Buffer, kind: FirstKind): PassphraseCost {
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
