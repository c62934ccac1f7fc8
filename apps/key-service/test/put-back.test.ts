// A running service whose store somebody wrote to while it was down: it stays sealed, says why, raises an alert, and opens again with
// what it wrote itself.

import assert from 'node:assert/strict';
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import type { AuditRecord } from '@sealpost/service';
import { runInit, runKeyService } from './running-key-service.ts';

test('a row of an earlier day, or the whole store of one, keeps the service sealed', async () => {
  await using service = await runKeyService();
  const operator = service.call('operator');
  const kept = (name: string): string => join(service.directory, `kept-${name}`);
  const keys = join(service.directory, 'keys');
  const keep = (name: string): void => cpSync(keys, kept(name), { recursive: true });
  const put = (name: string): void => {
    rmSync(keys, { recursive: true });
    cpSync(kept(name), keys, { recursive: true });
  };
  const restarted = async (change: () => void) => {
    await service.end();
    change();
    await service.start();
    const { sealed, reason } = await operator.call('status', {});
    return sealed ? reason : 'open';
  };
  const keyId = 'alpha/alice%40alpha.test/signing/1';
  await operator.call('identity-add', { address: 'alice@alpha.test', algorithm: 'p-256' });
  assert.equal(await restarted(() => keep('early')), 'open');
  await operator.call('keys-compromise', { keyId });
  assert.equal(await restarted(() => keep('late')), 'open');

  const oneRow = (): void => {
    const file = new DatabaseSync(join(keys, 'store.sqlite'));
    file.exec(`ATTACH '${join(kept('early'), 'store.sqlite')}' AS early`);
    const { changes } = file
      .prepare(
        `UPDATE records SET sealed = (SELECT sealed FROM early.records AS e WHERE e.kind = records.kind AND e.id = records.id)
         WHERE kind = 'key' AND sealed <> (SELECT sealed FROM early.records AS e WHERE e.kind = records.kind AND e.id = records.id)`,
      )
      .run();
    assert.equal(changes, 1);
    file.close();
  };
  assert.equal(await restarted(oneRow), 'store-tampered');
  assert.match(service.output(), /"event":"alert.authenticity"[^\n]*does not hold what it wrote last/);
  await assert.rejects(operator.call('keys-show', { keyId }), { code: 'key-service-sealed' });
  assert.equal(await restarted(() => put('late')), 'open');
  assert.equal((await operator.call('keys-show', { keyId })).key.state, 'compromised');

  assert.equal(await restarted(() => put('early')), 'store-tampered');
  const lines = readFileSync(service.config.keyServer.audit.file, 'utf8').trimEnd().split('\n');
  const records = lines.map((line) => JSON.parse(line) as AuditRecord);
  const refused = records.findLast((record) => 'operation' in record && record.operation === 'unseal-refused');
  assert.ok(refused && 'result' in refused && refused.result === 'store-tampered');
  // The one way to take it all the same: who has a slot's secret gives up the log that knows better, and that is on record.
  const given = await restarted(() =>
    assert.equal(runInit(service.configFile, undefined, ['--replace-audit-log']).status, 0),
  );
  assert.equal(given, 'open');
  assert.equal((await operator.call('keys-show', { keyId })).key.state, 'active');
});
