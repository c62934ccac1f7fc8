// Seal slots in the hand: whichever kind, each opens the same root with its own secret and no other, in its own store and place.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { suite, test } from 'node:test';
import { codeOf, readFrame, writeFrame } from '@sealpost/core';
import {
  combineShares,
  fileSlot,
  KeyFault,
  type NewSlot,
  newSlotForm,
  passphraseBytes,
  passphraseSlot,
  shamirSlot,
  shareForService,
  slotForm,
} from '@sealpost/service';
import { makeSoftHsm, softHsmModule, temporaryDirectory } from '@sealpost/testkit';
import { openHsm } from '../src/hsm/open-hsm.ts';
import { openTransactions } from '../src/store/transactions.ts';
import { openSharesInHand } from '../src/unseal-shares.ts';
import { makeKeks, openKeks } from '../src/vault/keks.ts';
import { maxSlots, openSlotBook, slotFacts } from '../src/vault/slot-book.ts';
import { newRoot, openSlot, type Slot, sealSlot } from '../src/vault/slots.ts';
import { makeTokenSlot, tokenSecret } from '../src/vault/token-slot.ts';
import { memoryDatabase } from './memory-database.ts';

const storeId = 'aa'.repeat(16);
const isMalformed = (error: unknown): boolean => codeOf(error) === 'sealed-malformed';
const isFault = (code: string) => (error: unknown) => error instanceof KeyFault && error.code === code;

async function seal(slot: NewSlot, root: Buffer): Promise<Slot> {
  return sealSlot(await slotFacts(slot, undefined), root, storeId, new Date());
}

test('each slot opens the same root with its own secret and no other, in its own store', async () => {
  const root = newRoot();
  const typed = await seal(await passphraseSlot('typed', passphraseBytes('correct horse')), root);
  const file = await seal(await fileSlot('mount', Buffer.alloc(32, 9)), root);
  const split = await shamirSlot('people', 2, 3);
  const people = await seal(split.slot, root);
  const combined = await combineShares(split.shares.slice(1));
  const right: [Slot, Buffer][] = [
    [typed, passphraseBytes('correct horse')],
    [file, Buffer.alloc(32, 9)],
    [people, combined],
  ];
  for (const [slot, secret] of right) {
    assert.deepEqual(await openSlot(slot, secret, storeId), root);
    assert.equal(await openSlot(slot, secret, 'bb'.repeat(16)), undefined);
    assert.equal(await openSlot(slot, Buffer.concat([secret, Buffer.alloc(1)]), storeId), undefined);
  }
  assert.equal(await openSlot(file, combined, storeId), undefined);
  await assert.rejects(openSlot({ ...file, kind: 'shamir' }, Buffer.alloc(32, 9), storeId), isMalformed);
  await assert.rejects(openSlot({ ...file, label: 'other' }, Buffer.alloc(32, 9), storeId), isMalformed);
});

test('no byte of a slot can be changed', async () => {
  const secret = Buffer.alloc(32, 9);
  const slot = await seal(await fileSlot('mount', secret), newRoot());
  for (let at = 0; at < slot.bytes.length; at += 3) {
    const bytes = Buffer.from(slot.bytes);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    const opened = await openSlot({ ...slot, bytes }, secret, storeId).catch((error: unknown) => {
      assert.match(codeOf(error) ?? '', /^(sealed-malformed|version-unsupported)$/);
    });
    assert.equal(opened, undefined, `byte ${at}`);
    const cut = openSlot({ ...slot, bytes: slot.bytes.subarray(0, at) }, secret, storeId);
    assert.equal(await cut.catch(() => undefined), undefined, `cut at ${at}`);
  }
});

test('a passphrase is the same however the keyboard composes its accents, and a short one is none', async () => {
  const slot = await seal(await passphraseSlot('p', passphraseBytes('Ru\u0308hrei mit Speck')), newRoot());
  assert.ok(await openSlot(slot, passphraseBytes('R\u00fchrei mit Speck'), storeId));
  await assert.rejects(passphraseSlot('p', passphraseBytes('elf Zeichen')), /at least 12/);
});

test('a slot that asks for more or less work than any of ours is refused before it is paid for', async () => {
  const slot = await seal(await passphraseSlot('p', passphraseBytes('correct horse')), newRoot());
  const [text = Buffer.alloc(0), sealed = Buffer.alloc(0)] = readFrame(slot.bytes, 2).fields;
  for (const cost of [
    { memory: 4 * 1024 * 1024 },
    { passes: 1_000 },
    { memory: 8 },
    { passes: 1 },
    { parallelism: 0 },
  ]) {
    const changed = Buffer.from(JSON.stringify({ ...JSON.parse(text.toString()), ...cost }));
    const greedy = { ...slot, bytes: writeFrame(2, 1, [changed, sealed]) };
    await assert.rejects(openSlot(greedy, passphraseBytes('correct horse'), storeId), isMalformed);
    assert.equal(newSlotForm.safeParse(JSON.parse(changed.toString())).success, false);
  }
});

test('what is asked for holds no secret, and what makes no slot is refused', async () => {
  const { slot, shares } = await shamirSlot('people', 2, 3);
  const text = JSON.stringify(newSlotForm.encode(slot));
  for (const share of shares) assert.equal(text.includes(share.toString('base64').slice(0, 20)), false);
  const good = JSON.parse(text) as Record<string, unknown>;
  const wrong = [
    { threshold: 4 },
    { threshold: 1 },
    { commitments: [] },
    { label: 'Über' },
    { label: '' },
    { publicKey: 'AAAA' },
    { kind: 'file' },
    { more: 1 },
  ];
  for (const change of wrong) assert.equal(newSlotForm.safeParse({ ...good, ...change }).success, false);
  assert.equal(newSlotForm.safeParse(good).success, true);
  assert.equal(slotForm.safeParse({ kind: 'pkcs11', label: 'a', key: 'b' }).success, false);
});

test('shares are counted once, checked when they come, and forgotten when somebody says so', async () => {
  const hand = openSharesInHand();
  const root = newRoot();
  const { slot, shares } = await shamirSlot('people', 3, 5);
  const stored = [await seal(slot, root), await seal(await fileSlot('mount', Buffer.alloc(32)), root)];
  const [a, b, c] = shares.map((share) => shareForService(share, hand.key));
  assert.ok(a && b && c);
  const have = async (sealed: Buffer) => (await hand.take(sealed, stored)).progress;
  assert.deepEqual(hand.progress(stored), [{ slot: 'people', have: 0, need: 3, of: 5 }]);
  assert.deepEqual(await have(a), { slot: 'people', have: 1, need: 3, of: 5 });
  assert.equal((await have(a)).have, 1);
  assert.equal((await have(shareForService(shares[0] ?? a, hand.key))).have, 1);
  assert.equal((await have(b)).have, 2);

  const foreign = (await shamirSlot('people', 3, 5)).shares[0] ?? a;
  for (const share of [foreign, randomBytes(33), Buffer.alloc(0), randomBytes(5)]) {
    await assert.rejects(hand.take(shareForService(share, hand.key), stored), isFault('share-wrong'));
  }
  // Sealed for another process, cut, or nothing at all.
  const other = shareForService(shares[2] ?? a, openSharesInHand().key);
  for (const bytes of [other, c.subarray(0, -1), c.subarray(1), Buffer.alloc(0), randomBytes(200)]) {
    await assert.rejects(hand.take(bytes, stored));
  }
  assert.equal(hand.progress(stored)[0]?.have, 2);
  assert.equal(hand.reset(), 2);
  assert.equal(hand.progress(stored)[0]?.have, 0);

  for (const sealed of [b, c]) assert.equal((await hand.take(sealed, stored)).secret, undefined);
  const last = await hand.take(a, stored);
  assert.ok(last.secret);
  assert.deepEqual(await openSlot(last.slot, last.secret, storeId), root);
  assert.equal(hand.progress(stored)[0]?.have, 0);
});

test('slots are added, replaced and removed, and the last one stays', async () => {
  const store = openTransactions(memoryDatabase());
  const root = newRoot();
  const keks = openKeks(root, makeKeks(root, storeId), storeId);
  const book = openSlotBook({ store, storeId, keks, hsm: undefined, now: () => new Date() });
  const secret = (at: number) => Buffer.alloc(32, at);
  await book.add(await fileSlot('one', secret(1)));
  await assert.rejects(book.remove('one'), isFault('slot-last'));
  await assert.rejects(book.remove('two'), isFault('not-found'));
  await book.add(await fileSlot('two', secret(2)));
  await assert.rejects(book.add(await fileSlot('two', secret(3))), isFault('slot-exists'));
  await assert.rejects(book.add({ kind: 'pkcs11', label: 'token', key: 'k' }), isFault('hsm-unavailable'));
  await assert.rejects(book.replace(await fileSlot('three', secret(3))), isFault('not-found'));

  await book.replace(await fileSlot('two', secret(4)));
  const two = (await book.list()).find(({ label }) => label === 'two');
  assert.ok(two);
  assert.equal(await openSlot(two, secret(2), storeId), undefined);
  const renewed = await openSlot(two, secret(4), storeId);
  assert.ok(renewed && !renewed.equals(root));
  await book.remove('one');
  assert.deepEqual(
    (await book.list()).map(({ label }) => label),
    ['two'],
  );
  for (let at = 1; at < maxSlots; at++) await book.add(await fileSlot(`more-${at}`, secret(at)));
  await assert.rejects(book.add(await fileSlot('beyond', secret(9))), isFault('slots-full'));
  const labels = (await book.list()).map(({ label }) => label);
  const removed = await Promise.allSettled(labels.map((label) => book.remove(label)));
  assert.equal(removed.filter(({ status }) => status === 'rejected').length, 1, 'all at once, and one stays');
  assert.equal((await book.list()).length, 1);
});

suite('with SoftHSM', { skip: softHsmModule === undefined && 'SoftHSM or its binding is not installed' }, () => {
  test('a token opens with an AES or an RSA key, and another key under that label does not', async () => {
    await using directory = await temporaryDirectory();
    const token = makeSoftHsm(directory.path);
    Object.assign(process.env, token.environment);
    token.makeAesKey('aes', '01');
    token.makeAesKey('other', '02');
    token.makeRsaKey('rsa', '03');
    const hsm = openHsm({ ...token.place, deadlineMs: 5_000, onFailure: () => undefined });
    try {
      const root = newRoot();
      for (const key of ['aes', 'rsa']) {
        const facts = await makeTokenSlot({ kind: 'pkcs11', label: 'token', key }, hsm);
        const slot = sealSlot(facts, root, storeId, new Date());
        const secret = await tokenSecret(facts, hsm);
        assert.ok(secret);
        assert.deepEqual(await openSlot(slot, secret, storeId), root, key);
        const foreign = await tokenSecret({ ...facts, key: 'other', iv: Buffer.alloc(16) }, hsm);
        if (foreign) assert.equal(await openSlot(slot, foreign, storeId), undefined);
      }
      const missing = makeTokenSlot({ kind: 'pkcs11', label: 'token', key: 'nobody' }, hsm);
      await assert.rejects(missing, isFault('hsm-key-missing'));
    } finally {
      await hsm.close();
    }
  });
});
