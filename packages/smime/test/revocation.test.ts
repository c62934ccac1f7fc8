// CRLs as stored material, made here: scope and reasons in full are judged by PKITS.
import assert from 'node:assert/strict';
import { sign } from 'node:crypto';
import { test } from 'node:test';
import { type Crl, parseCrls } from '../src/pki/crl.ts';
import {
  algorithmIdentifier,
  bitString,
  explicit,
  integer,
  namedBits,
  sequence,
  time,
  tlv,
} from '../src/pki/der-write.ts';
import { EXTENSION } from '../src/pki/oids.ts';
import { type PathRequest, validatePath } from '../src/pki/path.ts';
import { AT, CA, extension, forge, nameOf, type Party } from './forge.ts';

const HOUR = 3_600_000;
const HOLD = 6;
const REMOVE = 8;

const root = forge('Root', [CA]);
const alice = forge('Alice', [], root);

interface Shape {
  signer?: Party;
  /** Serial of the certificate → CRLReason. */
  revoked?: [Party, number][];
  thisUpdate?: Date;
  nextUpdate?: Date | null;
  number?: number;
  base?: number;
  more?: Buffer[];
}

function crl(shape: Shape): Crl {
  const { signer = root, revoked = [], nextUpdate = new Date(Number(AT) + HOUR) } = shape;
  const algorithm = algorithmIdentifier('1.2.840.10045.4.3.2');
  const entries = revoked.map(([party, reason]) => {
    const extensions = sequence(extension(EXTENSION.reasonCode, tlv(0x0a, Buffer.of(reason))));
    return sequence(integer(party.certificate.serial), time(new Date(Number(AT) - HOUR)), extensions);
  });
  const extensions = [extension(EXTENSION.crlNumber, integer(shape.number ?? 1)), ...(shape.more ?? [])];
  if (shape.base !== undefined) extensions.push(extension(EXTENSION.deltaCrlIndicator, integer(shape.base), true));
  const tbs = sequence(
    integer(1),
    algorithm,
    nameOf(signer.name),
    time(shape.thisUpdate ?? new Date(Number(AT) - HOUR)),
    ...(nextUpdate === null ? [] : [time(nextUpdate)]),
    ...(entries.length === 0 ? [] : [sequence(...entries)]),
    explicit(0, sequence(...extensions)),
  );
  const [parsed] = parseCrls(sequence(tbs, algorithm, bitString(sign('sha256', tbs, signer.privateKey))));
  assert.ok(parsed !== undefined);
  return parsed;
}

function outcome(crls: Crl[], more: Partial<PathRequest> = {}): string {
  const trust = [root.certificate];
  const result = validatePath({ leaf: alice.certificate, trust, at: AT, purpose: 'smime', crls, ...more });
  return result.ok ? 'ok' : `${result.failure.code} ${result.failure.depth}`;
}

test('a fresh list without the certificate clears it, one with it revokes it', () => {
  assert.equal(outcome([crl({})]), 'ok');
  assert.equal(outcome([crl({ revoked: [[alice, 1]] })]), 'revoked 0');
  assert.equal(outcome([], { revocation: 'required' }), 'revocation-unknown 0');
  assert.equal(outcome([]), 'ok');
});

test('lists that are stale, not yet valid or without an end say nothing', () => {
  const past = new Date(Number(AT) - HOUR / 2);
  for (const shape of [{ nextUpdate: past }, { thisUpdate: new Date(Number(AT) + 1000) }, { nextUpdate: null }]) {
    assert.equal(outcome([crl(shape)]), 'revocation-unknown 0');
    assert.equal(outcome([crl(shape)], { revocation: 'known' }), 'ok');
  }
});

test('of two fresh lists the newer counts, in any order', () => {
  const older = crl({ thisUpdate: new Date(Number(AT) - 2 * HOUR) });
  const newer = crl({ revoked: [[alice, 1]], number: 2 });
  assert.equal(outcome([older, newer]), 'revoked 0');
  assert.equal(outcome([newer, older]), 'revoked 0');
});

test('a list by somebody else of the same name, or by a CA that may not sign lists, says nothing', () => {
  const impostor = forge('Root', [CA]);
  assert.equal(outcome([crl({ signer: impostor })]), 'revocation-unknown 0');
  assert.equal(outcome([crl({ signer: impostor })], { intermediates: [impostor.certificate] }), 'revocation-unknown 0');
  const silent = forge('Silent', [CA, extension(EXTENSION.keyUsage, namedBits([5]), true)]);
  const leaf = forge('Leaf', [], silent);
  const crls = [crl({ signer: silent })];
  assert.equal(outcome(crls, { leaf: leaf.certificate, trust: [silent.certificate] }), 'revocation-unknown 0');
});

test('a delta adds to its base and takes back a hold', () => {
  const held = crl({ revoked: [[alice, HOLD]], number: 5 });
  const clean = crl({ number: 5 });
  const delta = (reason: number): Crl => crl({ revoked: [[alice, reason]], number: 6, base: 5 });
  assert.equal(outcome([held]), 'revoked 0');
  assert.equal(outcome([held, delta(REMOVE)]), 'ok');
  assert.equal(outcome([clean, delta(1)]), 'revoked 0');
  // A delta for a later base than the one at hand leaves a gap.
  assert.equal(outcome([held, crl({ revoked: [[alice, REMOVE]], number: 8, base: 7 })]), 'revoked 0');
  assert.equal(outcome([delta(REMOVE)]), 'revocation-unknown 0');
});

test('a critical extension that is not understood makes a list useless', () => {
  const more = [extension('1.2.3.4', integer(1), true)];
  assert.equal(outcome([crl({ more })]), 'revocation-unknown 0');
});

test('what is no CRL is malformed-crl', () => {
  for (const bytes of [alice.certificate.der, Buffer.from('3000', 'hex'), Buffer.from('%')]) {
    assert.throws(() => parseCrls(bytes), { code: 'malformed-crl' });
  }
});
