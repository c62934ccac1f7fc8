import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Certificate } from '../src/pki/certificate.ts';
import { context } from '../src/pki/der.ts';
import { explicit, implicit, integer, namedBits, oid, sequence, tlv, utf8String } from '../src/pki/der-write.ts';
import { EXTENSION, PURPOSE } from '../src/pki/oids.ts';
import { type PathRequest, validatePath } from '../src/pki/path.ts';
import { AT, CA, extension, forge, nameOf, pair } from './forge.ts';

function outcome(leaf: Certificate, trust: Certificate[], more: Partial<PathRequest> = {}): string {
  const result = validatePath({ leaf, trust, at: AT, purpose: 'smime', ...more });
  return result.ok ? `ok ${result.path.length}` : `${result.failure.code} ${result.failure.depth}`;
}

function mail(...addresses: string[]): Buffer {
  return extension(EXTENSION.subjectAltName, sequence(...addresses.map((a) => implicit(1, Buffer.from(a)))));
}

function purposes(...oids: string[]): Buffer {
  return extension(EXTENSION.extendedKeyUsage, sequence(...oids.map(oid)));
}

const root = forge('Root', [CA]);
const middle = forge('Middle', [CA], root);
const alice = forge('Alice', [mail('alice@alpha.test')], middle);

test('a path ends at given trust only: a root among the other certificates counts for nothing', () => {
  const intermediates = [middle.certificate, root.certificate];
  assert.equal(outcome(alice.certificate, [root.certificate], { intermediates }), 'ok 3');
  assert.equal(outcome(alice.certificate, [], { intermediates }), 'untrusted 2');
  assert.equal(outcome(alice.certificate, [root.certificate]), 'no-issuer 0');
  assert.equal(outcome(alice.certificate, [middle.certificate]), 'ok 2');
});

test('a root of the same name and another key does not vouch', () => {
  const other = forge('Root', [CA]);
  const intermediates = [middle.certificate];
  assert.equal(outcome(alice.certificate, [other.certificate], { intermediates }), 'signature 1');
  assert.equal(outcome(alice.certificate, [other.certificate, root.certificate], { intermediates }), 'ok 3');
});

test('a pinned certificate that is no CA vouches for itself and for nobody else', () => {
  const pinned = forge('Pinned', [mail('p@alpha.test')]);
  const forged = forge('Forged', [mail('ceo@alpha.test')], pinned);
  assert.equal(outcome(pinned.certificate, [pinned.certificate]), 'ok 1');
  assert.equal(outcome(forged.certificate, [pinned.certificate]), 'not-a-ca 1');
});

test('validity counts at the given time, on every level', () => {
  const old = forge('Middle', [CA], root, { keys: middle, notAfter: new Date('2026-02-01T00:00:00Z') });
  const intermediates = [old.certificate];
  assert.equal(outcome(alice.certificate, [root.certificate], { intermediates }), 'expired 1');
  const at = new Date('2026-01-15T00:00:00Z');
  assert.equal(outcome(alice.certificate, [root.certificate], { intermediates, at }), 'ok 3');
  const early = new Date('2025-12-31T23:59:59Z');
  assert.equal(outcome(alice.certificate, [root.certificate], { intermediates, at: early }), 'not-yet-valid 2');
  // The expired duplicate does not stand in the way of the valid one.
  intermediates.push(middle.certificate);
  assert.equal(outcome(alice.certificate, [root.certificate], { intermediates }), 'ok 3');
});

test('extended key usage binds the leaf and every CA above it', () => {
  const trust = [root.certificate];
  const web = forge('Web', [purposes(PURPOSE.serverAuth)], root);
  assert.equal(outcome(web.certificate, trust), 'purpose 0');
  assert.equal(outcome(web.certificate, trust, { purpose: 'tls-server' }), 'ok 2');
  const webCa = forge('Web CA', [CA, purposes(PURPOSE.serverAuth)], root);
  const below = forge('Below', [purposes(PURPOSE.emailProtection)], webCa);
  assert.equal(outcome(below.certificate, trust, { intermediates: [webCa.certificate] }), 'purpose 1');
  const encrypts = forge('E', [extension(EXTENSION.keyUsage, namedBits([4]), true)], root);
  assert.equal(outcome(encrypts.certificate, trust), 'ok 2');
  assert.equal(outcome(encrypts.certificate, trust, { purpose: 'smime-sign' }), 'key-usage 0');
});

test('an unknown critical extension refuses, an uncritical one does not', () => {
  const note = sequence(utf8String('x'));
  assert.equal(
    outcome(forge('X', [extension('1.2.3.4', note, true)], root).certificate, [root.certificate]),
    'critical-extension 0',
  );
  assert.equal(outcome(forge('X', [extension('1.2.3.4', note)], root).certificate, [root.certificate]), 'ok 2');
});

test('the address must be among the alternative names, local part exact, domain without case', () => {
  const trust = [middle.certificate];
  assert.equal(outcome(alice.certificate, trust, { address: 'alice@ALPHA.test' }), 'ok 2');
  assert.equal(outcome(alice.certificate, trust, { address: 'Alice@alpha.test' }), 'address 0');
  const named = forge('bob@alpha.test', [], middle);
  assert.equal(outcome(named.certificate, trust, { address: 'bob@alpha.test' }), 'address 0');
});

function constrained(permitted: Buffer[], excluded: Buffer[] = []): ReturnType<typeof forge> {
  const list = (n: number, bases: Buffer[]): Buffer[] =>
    bases.length === 0 ? [] : [tlv(context(n, true), ...bases.map((base) => sequence(base)))];
  const value = sequence(...list(0, permitted), ...list(1, excluded));
  return forge('Constrained', [CA, extension(EXTENSION.nameConstraints, value, true)]);
}

const email = (text: string): Buffer => implicit(1, Buffer.from(text));
const utf8Mail = (text: string): Buffer =>
  extension(EXTENSION.subjectAltName, sequence(explicit(0, oid('1.3.6.1.5.5.7.8.9'), explicit(0, utf8String(text)))));

test('mailbox constraints: host, domain below, one mailbox, excluded, internationalised, and emailAddress in the name', () => {
  const cases: [Buffer[], Buffer[], Buffer[], boolean][] = [
    [[email('alpha.test')], [], [mail('a@alpha.test')], true],
    [[email('alpha.test')], [], [mail('a@ALPHA.test')], true],
    [[email('alpha.test')], [], [mail('a@sub.alpha.test')], false],
    [[email('.alpha.test')], [], [mail('a@sub.alpha.test')], true],
    [[email('.alpha.test')], [], [mail('a@alpha.test')], false],
    [[email('a@alpha.test')], [], [mail('b@alpha.test')], false],
    [[email('alpha.test')], [], [mail('a@alpha.test', 'a@beta.test')], false],
    [[email('alpha.test')], [], [mail('a@alpha.test@beta.test')], false],
    [[], [email('alpha.test')], [mail('a@alpha.test')], false],
    [[], [email('a@alpha.test')], [mail('b@alpha.test')], true],
    [[email('@alpha.test')], [], [mail('b@alpha.test')], true],
    [[], [email('@alpha.test')], [mail('b@alpha.test')], false],
    [[email('alpha.test')], [], [mail('é@alpha.test')], false],
    [[email('alpha.test')], [], [utf8Mail('δ@alpha.test')], true],
    [[email('alpha.test')], [], [utf8Mail('δ@beta.test')], false],
    [[], [email('alpha.test')], [utf8Mail('δ@alpha.test')], false],
    [[email('alpha.test')], [], [mail('nonsense')], false],
    [[], [email('alpha.test')], [mail('nonsense')], false],
    [[email('alpha.test')], [], [], true],
  ];
  for (const [permitted, excluded, extensions, allowed] of cases) {
    const ca = constrained(permitted, excluded);
    const leaf = forge('Leaf', extensions, ca);
    const expected = allowed ? 'ok 2' : 'name-constraints 0';
    assert.equal(outcome(leaf.certificate, [ca.certificate]), expected, leaf.certificate.addresses.join());
  }
  const ca = constrained([email('alpha.test')]);
  const attribute = sequence(oid('1.2.840.113549.1.9.1'), tlv(0x16, Buffer.from('x@beta.test')));
  const leaf = forge('Leaf', [], ca, { subject: sequence(tlv(0x31, attribute)) });
  assert.equal(outcome(leaf.certificate, [ca.certificate]), 'name-constraints 0');
});

test('other forms of constraint: directory, DNS, URI, IP, and one that is not understood', () => {
  const san = (name: Buffer): Buffer => extension(EXTENSION.subjectAltName, sequence(name));
  const directory = (name: string): Buffer => explicit(4, nameOf(name));
  const cases: [Buffer, Buffer, boolean][] = [
    [directory('Leaf'), email('a@b.test'), true],
    [directory('Other'), email('a@b.test'), false],
    [implicit(2, Buffer.from('alpha.test')), implicit(2, Buffer.from('www.alpha.test')), true],
    [implicit(2, Buffer.from('alpha.test')), implicit(2, Buffer.from('notalpha.test')), false],
    [implicit(6, Buffer.from('.alpha.test')), implicit(6, Buffer.from('https://u@www.alpha.test:443/x')), true],
    [implicit(6, Buffer.from('.alpha.test')), implicit(6, Buffer.from('https://10.0.0.1/.alpha.test')), false],
    [implicit(6, Buffer.from('alpha.test')), implicit(6, Buffer.from('urn:alpha.test')), false],
    [implicit(7, Buffer.from('0a000000ff000000', 'hex')), implicit(7, Buffer.from('0a010203', 'hex')), true],
    [implicit(7, Buffer.from('0a000000ff000000', 'hex')), implicit(7, Buffer.from('0b010203', 'hex')), false],
    [implicit(8, Buffer.of(0x2a, 0x03)), implicit(8, Buffer.of(0x2a, 0x03)), false],
  ];
  for (const [base, name, allowed] of cases) {
    const ca = constrained([base]);
    const leaf = forge('Leaf', [san(name)], ca);
    assert.equal(outcome(leaf.certificate, [ca.certificate]), allowed ? 'ok 2' : 'name-constraints 0', name.toString());
  }
});

test('a constraint with minimum or maximum is not understood and refuses', () => {
  const value = sequence(tlv(context(0, true), sequence(email('alpha.test'), implicit(0, Buffer.of(1)))));
  const ca = forge('Min', [CA, extension(EXTENSION.nameConstraints, value, true)]);
  assert.equal(outcome(forge('L', [mail('a@alpha.test')], ca).certificate, [ca.certificate]), 'name-constraints 1');
});

test('policies: the wanted one must lead all the way', () => {
  const policies = (...oids: string[]): Buffer =>
    extension(EXTENSION.certificatePolicies, sequence(...oids.map((one) => sequence(oid(one)))));
  const ca = forge('P', [CA, policies('1.2.3')], root);
  const leaf = forge('L', [policies('1.2.3', '1.2.4')], ca);
  const more = { intermediates: [ca.certificate], explicitPolicy: true };
  assert.equal(outcome(leaf.certificate, [root.certificate], { ...more, policies: ['1.2.3'] }), 'ok 3');
  assert.equal(outcome(leaf.certificate, [root.certificate], { ...more, policies: ['1.2.4'] }), 'policy 0');
  const require = extension(EXTENSION.policyConstraints, sequence(implicit(0, Buffer.of(0))), true);
  const strict = forge('S', [CA, require], root);
  const bare = forge('B', [], strict);
  assert.equal(outcome(bare.certificate, [root.certificate], { intermediates: [strict.certificate] }), 'policy 0');
});

test('cross-certified CAs that sign each other in circles end in a failure, or in the path where there is one', () => {
  const keys = Array.from({ length: 4 }, pair);
  const ring = keys.flatMap((signer, i) =>
    keys.map((subject, j) =>
      forge(`Ring ${j}`, [CA], { name: `Ring ${i}`, privateKey: signer.privateKey }, { keys: subject }),
    ),
  );
  const [first] = keys;
  assert.ok(first !== undefined);
  const leaf = forge('Leaf', [], { name: 'Ring 0', privateKey: first.privateKey });
  const intermediates = ring.map(({ certificate }) => certificate);
  assert.match(
    outcome(leaf.certificate, [root.certificate], { intermediates }),
    /^(signature|untrusted|no-issuer|too-complex)/,
  );
  const bridge = forge('Ring 3', [CA], root, keys[3] === undefined ? {} : { keys: keys[3] });
  assert.match(
    outcome(leaf.certificate, [root.certificate], { intermediates: [...intermediates, bridge.certificate] }),
    /^ok/,
  );
});

test('hundreds of CAs of one name and many keys cost a bounded time', () => {
  const keys = Array.from({ length: 40 }, pair);
  const swarm = keys.flatMap((signer, i) =>
    keys.slice(0, 10).map((subject, j) => {
      return forge(
        'Swarm',
        [CA, extension('1.2.3', integer(i * 64 + j))],
        { name: 'Swarm', privateKey: signer.privateKey },
        { keys: subject },
      );
    }),
  );
  const leaf = forge('Leaf', [], { name: 'Swarm', privateKey: keys[0]?.privateKey ?? root.privateKey });
  const started = process.cpuUsage();
  const intermediates = swarm.map(({ certificate }) => certificate);
  assert.equal(outcome(leaf.certificate, [root.certificate], { intermediates }).split(' ')[0], 'too-complex');
  // 512 checks of P-256 are some 60 ms; twenty times that is room for a slow machine.
  assert.ok(process.cpuUsage(started).user < 1_500_000);
});

test('a long chain is followed to its limit and no further', () => {
  let issuer = root;
  const chain: Certificate[] = [];
  for (let i = 0; i < 20; i++) {
    issuer = forge(`Level ${i}`, [CA], issuer);
    chain.push(issuer.certificate);
  }
  const [, , deep = root.certificate] = chain.slice(11);
  assert.equal(outcome(deep, [root.certificate], { intermediates: chain }), 'ok 15');
  assert.match(outcome(issuer.certificate, [root.certificate], { intermediates: chain }), /^too-complex/);
});
