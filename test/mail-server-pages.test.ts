// The configurations that the pages about mail servers tell operators to use are ones that Sealpost takes.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadConfig } from '@sealpost/service';

const directory = mkdtempSync(join(tmpdir(), 'sealpost-pages-'));
after(() => rmSync(directory, { recursive: true, force: true }));

for (const page of ['postfix', 'microsoft-365', 'google-workspace']) {
  test(`the configuration in docs/${page}.md is sound`, () => {
    const text = readFileSync(join(import.meta.dirname, `../docs/${page}.md`), 'utf8');
    const [, yaml] = /```yaml\n([\s\S]*?)\n```/.exec(text) ?? [];
    assert.ok(yaml);
    const file = join(directory, `${page}.yaml`);
    writeFileSync(file, yaml);
    const { ingress, egress } = loadConfig(file);
    assert.equal(ingress.outbound.sources.length, 1);
    assert.ok(egress.routes.length > 0);
  });
}
