import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addressesMatch } from '../src/pki/address.ts';

test('domains match without case and across IDNA forms, local parts only octet for octet', () => {
  const same: [string, string][] = [
    ['bob@example.com', 'bob@EXAMPLE.com'],
    ['bob@bücher.example', 'bob@xn--bcher-kva.example'],
    ['bob@BÜCHER.example', 'bob@XN--BCHER-KVA.example'],
    ['"bob"@example.com', 'bob@example.com'],
    ['"b\\ob"@example.com', 'bob@example.com'],
    ['"a@b"@example.com', '"a@b"@example.com'],
    ['δοκιμή@example.com', 'δοκιμή@example.com'],
    ['bob@[192.0.2.1]', 'bob@[192.0.2.1]'],
  ];
  for (const [a, b] of same) assert.ok(addressesMatch(a, b) && addressesMatch(b, a), `${a} ${b}`);
  const other: [string, string][] = [
    ['Bob@example.com', 'bob@example.com'],
    ['bob@example.com', 'bob@example.com.evil.test'],
    ['bob@example.com', 'bob@sub.example.com'],
    ['bob+tag@example.com', 'bob@example.com'],
    ['é@example.com', 'e\u0301@example.com'],
    ['bob@example.com', 'bob@example.com\0.evil.test'],
    ['bob', 'bob'],
    ['@example.com', '@example.com'],
    ['bob@', 'bob@'],
    ['', ''],
  ];
  for (const [a, b] of other) assert.ok(!addressesMatch(a, b) && !addressesMatch(b, a), `${a} ${b}`);
});

test('any address matches itself under any case of its domain', () => {
  fc.assert(
    fc.property(fc.emailAddress(), (address) => {
      const at = address.lastIndexOf('@');
      assert.ok(addressesMatch(address, address.slice(0, at) + address.slice(at).toUpperCase()));
    }),
  );
});

test('any two strings compare without an exception, the same both ways', () => {
  fc.assert(fc.property(fc.string(), fc.string(), (a, b) => assert.equal(addressesMatch(a, b), addressesMatch(b, a))));
});
