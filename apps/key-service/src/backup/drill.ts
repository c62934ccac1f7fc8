// The rehearsal of a restore: the backup's store in a scratch place, opened with a slot's secret as after a disaster, its canary and
// every key of it unwrapped. The report is signed by the audit key that came out of the backup, so it cannot be had otherwise.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type KeyId, setupReceiver, tenantId } from '@sealpost/core';
import { type Installation, KeyFault, keyStates } from '@sealpost/service';
import { installationTenant } from '../authority/authority.ts';
import type { OpenStore } from '../open-store.ts';
import type { StoredKey } from '../store/key-store.ts';
import { privateKeyOf } from '../vault/wrap-key.ts';
import { isSigned, type Manifest, sha256Of, signedForm } from './backup-file.ts';
import { canaryInfo, writeDurably } from './make-backup.ts';
import { inScratch, type Scratch } from './scratch.ts';

export interface DrillReport {
  readonly v: 1;
  readonly at: string;
  readonly backup: { readonly sha256: string; readonly createdAt: string; readonly head: string };
  /** Keys that were unwrapped and compared with their public half. */
  readonly keys: number;
  /** Those that did not open. */
  readonly broken: number;
  /** Keys in a token that was not to be had: what the store keeps of them opened, and nobody asked the token. */
  readonly untried: number;
  readonly canary: boolean;
  readonly seconds: number;
  readonly passed: boolean;
}

/** The report as bytes that were signed, the signature and the key's name; all base64. */
interface SignedReport {
  readonly report: string;
  readonly signature: string;
  readonly key: string;
}

const reportPrefix = 'drill-';

/** Throws what kept the store from opening. */
export async function drill(scratch: Scratch, sealed: Buffer): Promise<{ report: DrillReport; file: string }> {
  const started = performance.now();
  const { backup, config, clock } = scratch;
  return await inScratch(scratch, async (keeper) => {
    const { keys, broken, untried } = await openAll(keeper.store(), config);
    const canary = await opensCanary(keeper.store(), backup.manifest);
    const { createdAt, head } = backup.manifest;
    const report: DrillReport = {
      v: 1,
      at: clock.now().toISOString(),
      backup: { sha256: sha256Of(sealed), createdAt, head },
      keys,
      broken,
      untried,
      canary,
      seconds: Math.round(performance.now() - started) / 1000,
      passed: canary && broken === 0 && keys > 0,
    };
    const bytes = Buffer.from(JSON.stringify(report));
    const signed: SignedReport = {
      report: bytes.toString('base64'),
      signature: keeper.sign(signedForm('drill', bytes)).toString('base64'),
      key: keeper.auditKey(),
    };
    const name = `${reportPrefix}${report.at.replaceAll(':', '')}.json`;
    const file = join(config.keyServer.backup.directory ?? tmpdir(), name);
    writeDurably(file, Buffer.from(`${JSON.stringify(signed)}\n`));
    return { report, file };
  });
}

/** The report in `directory` of the last drill that passed, if this audit key signed it. */
export function lastDrill(directory: string, key: string): DrillReport | undefined {
  const names = readdirSync(directory).filter((name) => name.startsWith(reportPrefix) && name.endsWith('.json'));
  for (const name of names.sort().reverse()) {
    const report = readReport(join(directory, name), key);
    if (report?.passed) return report;
  }
  return undefined;
}

/** The report, if this key signed it. */
export function readReport(file: string, key: string): DrillReport | undefined {
  try {
    const { report, signature } = JSON.parse(readFileSync(file, 'utf8')) as SignedReport;
    const bytes = Buffer.from(report, 'base64');
    if (!isSigned('drill', bytes, Buffer.from(signature, 'base64'), key)) return undefined;
    return JSON.parse(bytes.toString('utf8')) as DrillReport;
  } catch {
    return undefined;
  }
}

interface Opened {
  readonly keys: number;
  readonly broken: number;
  readonly untried: number;
}

async function openAll(store: OpenStore, { tenants }: Installation): Promise<Opened> {
  const found: Record<Outcome, number> = { opens: 0, broken: 0, untried: 0 };
  for (const tenant of [installationTenant, ...tenants.map(({ id }) => tenantId(id))]) {
    for (const key of await store.keys.ofTenant(tenant)) {
      // Destroyed and waiting ones open nothing.
      if (keyStates[key.state].opens) found[await outcomeOf(key, store)] += 1;
    }
  }
  return { keys: found.opens, broken: found.broken, untried: found.untried };
}

type Outcome = 'opens' | 'broken' | 'untried';

async function outcomeOf(key: StoredKey, { keys, hsm }: OpenStore): Promise<Outcome> {
  try {
    if (!key.token) {
      keys.withSecret(key, () => undefined);
      return 'opens';
    }
    keys.secretBeside(key).fill(0);
    if (!hsm) return 'untried';
    const { publicKey } = await hsm.find(key.token);
    return publicKey?.equals(key.spki) ? 'opens' : 'broken';
  } catch (error) {
    const isAway = error instanceof KeyFault && ['hsm-unavailable', 'hsm-pin-wrong'].includes(error.code);
    return isAway ? 'untried' : 'broken';
  }
}

async function opensCanary({ keys }: OpenStore, { canary }: Manifest): Promise<boolean> {
  try {
    const key = await keys.get(canary.keyId as KeyId);
    if (!key) return false;
    const value = keys.withSecret(key, (secret) =>
      setupReceiver(Buffer.from(canary.encapsulated, 'base64'), privateKeyOf(secret), canaryInfo).open(
        Buffer.alloc(0),
        Buffer.from(canary.sealed, 'base64'),
      ),
    );
    return createHash('sha256').update(value).digest('hex') === canary.sha256;
  } catch {
    return false;
  }
}
