// MIME torture by others: every message can be looked at, protected and opened again, and stays valid on the way.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { inspect, open, protect } from '../src/index.ts';
import { isSevenBitSafe } from '../src/mime/canonical.ts';
import { describesContent, readEntity } from '../src/mime/header.ts';
import { ca, keysOf, NOW, person } from './people.ts';

const ROOT = new URL('../../../../shared/corpus/', import.meta.url);
const skip = existsSync(ROOT) ? false : 'no corpus beside this checkout';
const SETS = new Set(['mime-tools', 'mime-misc', 'cpython-email', 'thunderbird-mime']);

const files = skip
  ? []
  : readFileSync(new URL('MANIFEST.tsv', ROOT), 'utf8')
      .split('\n')
      .map((line) => line.split('\t'))
      .filter(([set = '', , kind]) => SETS.has(set) && kind === 'mime')
      .map(([, file = '']) => file);

/** As an SMTP receiver would have taken it. */
function received(file: string): Buffer {
  const text = readFileSync(new URL(file, ROOT)).toString('latin1');
  return Buffer.from(text.replace(/\r\n|\r|\n/g, '\r\n'), 'latin1');
}

const alice = person('alice');
const bob = person('bob');
const keys = keysOf(alice, bob);
const options = { keys, recipients: [bob.certificate], trust: [ca], at: NOW, from: alice.address };

test('torture messages survive signing and encrypting', { skip }, async (t) => {
  for (const file of files) {
    await t.test(file, async () => {
      const message = received(file);
      inspect(message);
      const sign = { certificate: alice.certificate };
      const encrypt = { recipients: [bob.certificate] };
      const made = await protect(message, { keys, sign, encrypt, now: NOW });
      const result = await open(made, options);
      assert.ok(result.kind === 'opened');
      assert.equal(result.verdict.signers[0]?.integrity, 'valid');
      const [before, after] = [readEntity(message), readEntity(result.message)];
      const outer = (fields: typeof before.fields) =>
        fields.filter((field) => !describesContent(field)).map(({ raw }) => raw.toString('latin1'));
      assert.deepEqual(outer(after.fields), outer(before.fields));
      if (isSevenBitSafe(before.body)) assert.ok(after.body.equals(before.body));
    });
  }
});
