// Canonical JSON against the examples of RFC 8785.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalJson } from '@sealpost/service';

test('the example of RFC 8785 §3.2.2 and §3.2.3', () => {
  const value = {
    numbers: [Number('333333333.33333329'), 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
    string: '\u20ac$\u000f\nA\'\u0042\u0022\u005c\\"\u002f',
    literals: [null, true, false],
  };
  assert.equal(
    canonicalJson(value),
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  );
});

test('names in the order of their UTF-16 code units, numbers and prototypes among them (§3.2.3)', () => {
  const names = [
    '\u20ac',
    '\r',
    '\ufb33',
    '1',
    '10',
    '9',
    '\ud83d\ude00',
    '\u0080',
    '\u00f6',
    '__proto__',
    'constructor',
  ];
  const value = JSON.parse(`{${names.map((name, at) => `${JSON.stringify(name)}:${at}`).join(',')}}`);
  const order = Object.values(
    JSON.parse(
      `[${canonicalJson(value)
        .slice(1, -1)
        .replace(/"(?:[^"\\]|\\.)*":/g, '')}]`,
    ),
  );
  assert.deepEqual(
    order.map((at) => names[Number(at)]),
    ['\r', '1', '10', '9', '__proto__', 'constructor', '\u0080', '\u00f6', '\u20ac', '\ud83d\ude00', '\ufb33'],
  );
});

test('what is undefined is left out', () => {
  assert.equal(canonicalJson({ b: undefined, a: { d: 1, c: undefined } }), '{"a":{"d":1}}');
});
