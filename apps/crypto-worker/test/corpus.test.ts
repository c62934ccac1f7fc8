// Mail that others wrote, most of it odd: whatever it is, it can be classified, cleaned and given a footer without harm.

import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { boundaryOf, decodeTransfer, firstValue, readEntity, readMultipart, typeOf } from '@sealpost/smime';
import { classificationOf } from '../src/classify.ts';
import { withFooter } from '../src/footer.ts';
import { withoutForged } from '../src/own-fields.ts';

const corpus = join(import.meta.dirname, '../../../../shared/corpus');
const skip = existsSync(corpus) ? false : 'the corpus is not here';
const files = skip
  ? []
  : globSync('{cpython-email,mime-misc,mime-tools,thunderbird-mime,thunderbird}/**/*.{txt,eml,msg,bin,mime}', {
      cwd: corpus,
    });
const mark = 'FOOTER-7f3a';

/** Every leaf's decoded content; depth-bounded like the footer itself. */
function leaves(raw: Buffer, depth = 0): string[] {
  const { fields, body } = readEntity(raw);
  const type = typeOf(fields);
  const boundary = type.value.startsWith('multipart/') && depth < 9 ? boundaryOf(type) : undefined;
  if (boundary !== undefined) return readMultipart(body, boundary).parts.flatMap((part) => leaves(part, depth + 1));
  return [decodeTransfer(body, firstValue(fields, 'content-transfer-encoding')).toString('latin1')];
}

test('every message is classified, cleaned and footed, and only texts change', { skip }, () => {
  assert.ok(files.length > 100);
  let footed = 0;
  for (const file of files) {
    const mail = Buffer.from(readFileSync(join(corpus, file)).toString('latin1').replace(/\r?\n/g, '\r\n'), 'latin1');
    const { malformed, protection } = classificationOf(mail);
    assert.equal(withoutForged(mail, { subjectTag: { verified: '[ok-4711]', decrypted: '' } }), mail, file);
    const changed = withFooter(mail, mark);
    if (!changed || malformed) continue;
    footed += 1;
    assert.ok(protection !== 'encrypted', file);
    const before = leaves(mail);
    const after = leaves(changed);
    assert.equal(after.length, before.length, file);
    const differing = after.filter((text, index) => text !== before[index]);
    assert.ok(differing.length > 0 && differing.every((text) => text.includes(mark)), file);
  }
  assert.ok(footed > 50, String(footed));
});
