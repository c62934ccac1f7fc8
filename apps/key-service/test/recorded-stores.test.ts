// Stores that older code wrote, recorded then: each comes forward by the migrations and holds what it held. A change of the schema
// records one more under recorded/, written by the code before it (holds.json names what is inside); none is ever edited.

import assert from 'node:assert/strict';
import { chmodSync, cpSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type KeyId, tenantId } from '@sealpost/core';
import { temporaryDirectory } from '@sealpost/testkit';
import { openStore } from '../src/open-store.ts';
import { readOuter } from '../src/store/outer.ts';
import { openDatabase } from '../src/store/sqlite-database.ts';
import { readSlotFile } from '../src/vault/slot-file.ts';
import { openSlot } from '../src/vault/slots.ts';
import { privateKeyOf, publicHalf } from '../src/vault/wrap-key.ts';
import { withSecretOf } from './opened-store.ts';

interface Holds {
  readonly keys: readonly { readonly keyId: KeyId; readonly algorithm: string; readonly spki: string }[];
  /** Fingerprints of alice@alpha.test's. */
  readonly certificates: readonly string[];
}

const recorded = join(import.meta.dirname, 'recorded');
const limits = { leaseMs: 60_000, acknowledgeMs: 10_000, leasesPerClient: 10, ticketLifeMs: 60_000 };

for (const name of readdirSync(recorded)) {
  test(`${name}: every key opens to its own public key, certificates are there, and it opens again`, async () => {
    await using directory = await temporaryDirectory();
    cpSync(join(recorded, name), directory.path, { recursive: true });
    chmodSync(join(directory.path, 'root'), 0o600);
    const holds = JSON.parse(readFileSync(join(directory.path, 'holds.json'), 'utf8')) as Holds;
    for (const opening of ['first', 'second']) {
      const database = await openDatabase(directory.path);
      const outer = await readOuter(database);
      const slot = outer?.slots.find(({ kind }) => kind === 'file');
      assert.ok(outer && slot, opening);
      const root = await openSlot(slot, readSlotFile(join(directory.path, 'root')).bytes, outer.id);
      assert.ok(root);
      const store = await openStore(database, outer, root, { limits, hsm: undefined, now: () => new Date() }, 0);
      for (const { keyId, algorithm, spki } of holds.keys) {
        const key = await store.keys.get(keyId);
        assert.equal(key?.algorithm, algorithm);
        const half = await withSecretOf(store, keyId, (secret) => publicHalf(privateKeyOf(secret)).toString('base64'));
        assert.equal(half, spki);
      }
      const certificates = await store.certificates.ofAddress(tenantId('alpha'), 'alice@alpha.test');
      assert.deepEqual(certificates.map(({ fingerprint }) => fingerprint).sort(), holds.certificates.toSorted());
      store.forget();
      await database.close();
    }
  });
}
