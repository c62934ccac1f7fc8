// The second factor: codes as RFC 6238 makes them, each good once, and locks that come after exactly as many wrong ones as they should.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { KeyFault, keyOperations } from '@sealpost/service';
import { TOTP, URI } from 'otpauth';
import { type Factors, openFactors } from '../src/people/factors.ts';
import { firstPolicy } from '../src/policy/first-policy.ts';
import { policyOf } from '../src/policy/policy.ts';
import { openRecords } from '../src/store/records.ts';
import { openTransactions } from '../src/store/transactions.ts';
import { makeKeks, openKeks } from '../src/vault/keks.ts';
import { memoryDatabase } from './memory-database.ts';

const start = new Date('2026-03-04T05:06:07Z');
const after = (seconds: number) => new Date(start.getTime() + seconds * 1000);

function open(isRequired = true) {
  const root = randomBytes(32);
  const records = openRecords(openTransactions(memoryDatabase()), openKeks(root, makeKeks(root, 'store'), 'store'));
  const policy = policyOf(firstPolicy(!isRequired));
  return openFactors(records, () => policy);
}

async function enrolled(factors: Factors, name = 'alice', at = after(-300)) {
  const totp = URI.parse(await factors.enrol(name, `key-admin/${name}`, 'Sealpost test'));
  assert.ok(totp instanceof TOTP);
  const code = (when: Date): string => totp.generate({ timestamp: when.getTime() });
  await factors.confirm(name, code(at), at);
  return code;
}

/** One after the other. */
async function all<T>(times: readonly number[], run: (at: number) => Promise<T>): Promise<T[]> {
  const done: T[] = [];
  for (const at of times) done.push(await run(at));
  return done;
}

/** A code that is none of those around `when`. */
function wrong(code: (when: Date) => string, when: Date): string {
  const near = [-60, -30, 0, 30, 60].map((seconds) => code(new Date(when.getTime() + seconds * 1000)));
  return ['000000', '111111', '222222', '333333', '444444', '555555'].find((each) => !near.includes(each)) ?? '';
}

async function outcome(run: () => Promise<unknown>): Promise<string> {
  try {
    await run();
    return 'ok';
  } catch (error) {
    if (error instanceof KeyFault) return error.code;
    throw error;
  }
}

test('the URI says what authenticators read, and codes are those of RFC 6238', async () => {
  const factors = open();
  const uri = new URL(await factors.enrol('alice', 'key-admin/alice', 'Sealpost gateway.alpha.test'));
  assert.equal(uri.protocol + uri.host, 'otpauth:totp');
  assert.equal(decodeURIComponent(uri.pathname), '/Sealpost gateway.alpha.test:key-admin/alice');
  const { secret, issuer, digits, period, algorithm } = Object.fromEntries(uri.searchParams);
  assert.deepEqual([issuer, digits, period, algorithm], ['Sealpost gateway.alpha.test', '6', '30', 'SHA1']);
  assert.match(String(secret), /^[A-Z2-7]{32}$/);
  // Appendix B, its SHA-1 rows, the last six of eight digits.
  const vectors = [
    [59, '287082'],
    [1111111109, '081804'],
    [1111111111, '050471'],
    [1234567890, '005924'],
    [2000000000, '279037'],
    [20000000000, '353130'],
  ] as const;
  const totp = URI.parse('otpauth://totp/x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ');
  assert.ok(totp instanceof TOTP);
  for (const [seconds, code] of vectors) assert.equal(totp.generate({ timestamp: seconds * 1000 }), code);
});

test('a code counts one step before and after its own, once, and not before the factor was confirmed', async () => {
  const factors = open();
  await factors.enrol('bob', 'custodian/bob', 'x');
  assert.equal(await outcome(() => factors.spend('bob', '123456', start)), 'second-factor-missing');
  const code = await enrolled(factors);
  const spend = (of: number, at: number) => outcome(() => factors.spend('alice', code(after(of)), after(at)));
  assert.equal(await spend(0, 0), 'ok');
  assert.equal(await spend(0, 0), 'code-wrong');
  assert.equal(await spend(0, 30), 'code-wrong');
  assert.equal(await spend(60, 90), 'ok');
  assert.equal(await spend(150, 120), 'ok');
  assert.equal(await spend(180, 120), 'code-wrong');
  assert.equal(await spend(240, 300), 'code-wrong');
  assert.equal(await outcome(() => factors.spend('alice', undefined, start)), 'second-factor-needed');
  assert.equal(await outcome(() => factors.enrol('alice', 'l', 'i')), 'second-factor-exists');
  assert.equal(await outcome(() => factors.confirm('alice', code(after(600)), after(600))), 'second-factor-exists');
});

test('of 100 tries with one code exactly one passes, and none of the others counts as a guess', async () => {
  const factors = open();
  const code = await enrolled(factors);
  const tries = await Promise.all(
    Array.from({ length: 100 }, () => outcome(() => factors.spend('alice', code(start), start))),
  );
  assert.equal(tries.filter((each) => each === 'ok').length, 1);
  assert.equal(tries.filter((each) => each === 'code-wrong').length, 99);
  assert.equal(await outcome(() => factors.spend('alice', code(after(30)), after(30))), 'ok');
});

test('of 100 wrong codes at once five are judged, and the lock is as long as after five', async () => {
  const factors = open();
  const code = await enrolled(factors);
  const tries = await Promise.all(
    Array.from({ length: 100 }, () => outcome(() => factors.spend('alice', wrong(code, start), start))),
  );
  assert.equal(tries.filter((each) => each === 'code-wrong').length, 5);
  assert.equal(tries.filter((each) => each === 'code-locked').length, 95);
  assert.equal((await factors.stateOf('alice')).lockedUntil?.getTime(), after(3_600).getTime());
});

test('a reset and a code at once: whoever is reset has shown nothing', async () => {
  for (const order of ['code first', 'reset first']) {
    const factors = open();
    const code = await enrolled(factors);
    const person = { name: 'alice', fingerprint: 'a' };
    const show = () => outcome(() => factors.present(person, code(start), start));
    await Promise.all(order === 'code first' ? [show(), factors.reset('alice')] : [factors.reset('alice'), show()]);
    assert.equal(await factors.isPresent(person, start), false, order);
  }
});

test('five wrong codes in a row lock for an hour, then each further one does, until a right one', async () => {
  const factors = open();
  const code = await enrolled(factors);
  const other = await enrolled(factors, 'bob');
  const guess = (at: number) => outcome(() => factors.spend('alice', wrong(code, after(at)), after(at)));
  const right = (at: number) => outcome(() => factors.spend('alice', code(after(at)), after(at)));
  assert.deepEqual(await all([1, 2, 3, 4], guess), Array(4).fill('code-wrong'));
  assert.equal(await right(5), 'ok');
  assert.deepEqual(await all([1, 2, 3, 4, 5], guess), Array(5).fill('code-wrong'));
  assert.deepEqual(await all([6, 7, 3_604], guess), Array(3).fill('code-locked'));
  assert.equal(await right(3_604), 'code-locked');
  assert.equal((await factors.stateOf('alice')).lockedUntil?.getTime(), after(3_605).getTime());
  assert.equal(await guess(3_605), 'code-wrong');
  assert.equal(await right(3_606), 'code-locked');
  assert.equal(await right(7_205), 'ok');
  assert.equal(await guess(7_206), 'code-wrong');
  assert.equal(await right(7_260), 'ok');
  // Nobody else is locked.
  assert.equal(await outcome(() => factors.spend('bob', other(after(10)), after(10))), 'ok');
});

test('a fresh secret is no way around the count of wrong codes', async () => {
  const factors = open();
  const code = await enrolled(factors);
  for (const at of [1, 2, 3, 4]) await outcome(() => factors.spend('alice', wrong(code, after(at)), after(at)));
  await factors.reset('alice');
  assert.equal(await outcome(() => factors.spend('alice', code(start), start)), 'second-factor-missing');
  const totp = URI.parse(await factors.enrol('alice', 'l', 'i'));
  assert.ok(totp instanceof TOTP);
  const fresh = (when: Date): string => totp.generate({ timestamp: when.getTime() });
  assert.equal(await outcome(() => factors.confirm('alice', wrong(fresh, start), start)), 'code-wrong');
  assert.equal(await outcome(() => factors.confirm('alice', fresh(start), start)), 'code-locked');
  assert.equal(await outcome(() => factors.confirm('alice', fresh(after(3_600)), after(3_600))), 'ok');
});

test('a code opens the operations of one certificate for the minutes of the policy', async () => {
  const factors = open();
  const code = await enrolled(factors);
  const until = await factors.present({ name: 'alice', fingerprint: 'a' }, code(start), start);
  assert.equal(until.getTime(), after(15 * 60).getTime());
  const shows = (fingerprint: string, at: number) => factors.isPresent({ name: 'alice', fingerprint }, after(at));
  assert.equal(await shows('a', 15 * 60 - 1), true);
  assert.equal(await shows('a', 15 * 60), false);
  assert.equal(await shows('b', 0), false);
  await factors.reset('alice');
  assert.equal(await shows('a', 1), false, 'nobody stays who was reset');
});

test('only six ASCII digits are a code: nothing is trimmed, folded or converted', async () => {
  for (const operation of ['people-confirm', 'people-present'] as const) {
    const { request } = keyOperations[operation];
    assert.equal(request.safeParse({ code: '012345' }).success, true);
    const others = ['12345', '1234567', ' 123456', '123456 ', '123456\n', '123 456', '+12345', '1e5000', '0x1234', ''];
    for (const code of [...others, '１２３４５６', '١٢٣٤٥٦', '123456\u0000', '12345O', 123456, null, ['123456'], {}]) {
      assert.equal(request.safeParse({ code }).success, false, JSON.stringify(code));
    }
  }
});
