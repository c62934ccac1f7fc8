// A whole store as bytes, for a backup: what it shows on the first line, then a line for each row, all as sealed as they stand. It
// comes and goes through the seam, so a copy of one database can be put into another.

import { fail } from '@sealpost/core';
import * as z from 'zod';
import { kekUses } from '../vault/keks.ts';
import type { Change, Database, Row } from './database.ts';
import type { Transactions } from './transactions.ts';

/** Rows read at a time. */
const batchRows = 1_024;

const octets = z.codec(z.base64(), z.instanceof(Buffer), {
  decode: (text) => Buffer.from(text, 'base64'),
  encode: (bytes) => bytes.toString('base64'),
});
const instant = z.codec(z.iso.datetime(), z.date(), {
  decode: (text) => new Date(text),
  encode: (date) => date.toISOString(),
});
const outsideForm = z.strictObject({
  v: z.literal(1),
  meta: z.array(z.strictObject({ name: z.string(), value: z.string() })),
  slots: z.array(
    z.strictObject({
      label: z.string(),
      kind: z.enum(['passphrase', 'file', 'shamir', 'pkcs11']),
      createdAt: instant.optional(),
      bytes: octets,
    }),
  ),
  keks: z.array(z.strictObject({ use: z.enum(kekUses), version: z.int().min(1), wrapped: octets })),
});
const rowForm = z.tuple([z.string(), z.string(), octets, octets, octets]);

/** Of one moment: nothing is written meanwhile. */
export async function copyStore(store: Transactions): Promise<Buffer> {
  return await store.transaction(async () => {
    const { meta, slots, keks } = await store.outside();
    const parts = [line(outsideForm.encode({ v: 1, meta: [...meta], slots: [...slots], keks: [...keks] }))];
    let last: Row | undefined;
    do {
      const batch = await store.after(last, batchRows);
      for (const { kind, tenant, owner, id, sealed } of batch) {
        parts.push(line(rowForm.encode([kind, tenant, owner, id, sealed])));
      }
      last = batch.at(-1);
    } while (last);
    return Buffer.concat(parts);
  });
}

/** Puts a copy into an empty database. Error: `sealed-malformed`. */
export async function putCopy(database: Database, copy: Buffer): Promise<void> {
  await database.commit(read(copy));
}

function read(copy: Buffer): Change[] {
  try {
    const [first = '', ...lines] = copy.toString('utf8').trimEnd().split('\n');
    const { meta, slots, keks } = outsideForm.parse(JSON.parse(first));
    return [
      ...meta.map((after): Change => ({ of: 'meta', after })),
      ...slots.map(({ createdAt, ...slot }): Change => {
        return { of: 'slot', after: { ...slot, ...(createdAt ? { createdAt } : {}) } };
      }),
      ...keks.map((after): Change => ({ of: 'kek', after })),
      ...lines.map((text): Change => {
        const [kind, tenant, owner, id, sealed] = rowForm.parse(JSON.parse(text));
        return { of: 'row', after: { kind, tenant, owner, id, sealed } };
      }),
    ];
  } catch {
    throw fail('sealed-malformed');
  }
}

function line(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value)}\n`);
}
