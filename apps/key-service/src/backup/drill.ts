// The rehearsal of a restore: the backup's store in a scratch place, opened with a slot's secret as after a disaster, its canary and
// every key of it unwrapped. The report is signed by the audit key that came out of the backup, so it cannot be had otherwise.

import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, type KeyId, type Log, SetupError, setupReceiver, tenantId } from '@sealpost/core';
import { type Installation, keyStates, parseHead } from '@sealpost/service';
import { installationTenant } from '../authority/authority.ts';
import { type Keeper, openKeeper } from '../keeper.ts';
import type { OpenStore } from '../open-store.ts';
import { privateKeyOf } from '../vault/wrap-key.ts';
import { type Backup, isSigned, type Manifest, sha256Of, signedForm } from './backup-file.ts';
import { canaryInfo, writeDurably } from './make-backup.ts';
import { type Checkpoint, restoreStore } from './restore.ts';

export interface DrillReport {
  readonly v: 1;
  readonly at: string;
  readonly backup: { readonly sha256: string; readonly createdAt: string; readonly head: string };
  /** Keys that were unwrapped and compared with their public half. */
  readonly keys: number;
  /** Those that did not open. */
  readonly broken: number;
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

/** `unseal` opens the scratch store as an operator would. Throws what kept it from opening. */
export async function drill(
  backup: Backup,
  sealed: Buffer,
  config: Installation,
  unseal: (keeper: Keeper) => Promise<void>,
  clock: Clock,
): Promise<{ report: DrillReport; file: string }> {
  const started = performance.now();
  const scratch = mkdtempSync(join(tmpdir(), 'sealpost-drill-'));
  try {
    const place = scratchConfig(config, scratch);
    await restoreStore(backup, place, { checkpoint: ownHead(backup), acceptLoss: 0 });
    const keeper = await openKeeper({ config: place, clock, log: silent, replaceLog: true });
    try {
      await unseal(keeper);
      const { keys, broken } = await openAll(keeper.store(), config);
      const canary = await opensCanary(keeper.store(), backup.manifest);
      const { createdAt, head } = backup.manifest;
      const report: DrillReport = {
        v: 1,
        at: clock.now().toISOString(),
        backup: { sha256: sha256Of(sealed), createdAt, head },
        keys,
        broken,
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
      const file = join(
        config.keyServer.backup.directory ?? scratch,
        `${reportPrefix}${report.at.replaceAll(':', '')}.json`,
      );
      writeDurably(file, Buffer.from(`${JSON.stringify(signed)}\n`));
      return { report, file };
    } finally {
      await keeper.close();
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function scratchConfig(config: Installation, scratch: string): Installation {
  const { keyServer } = config;
  const audit = { ...keyServer.audit, file: join(scratch, 'audit', 'audit.log') };
  return { ...config, keyServer: { ...keyServer, directory: join(scratch, 'keys'), audit } };
}

/** A drill asks whether the backup opens, not whether it is the newest. */
function ownHead({ manifest }: Backup): Checkpoint {
  const head = parseHead(manifest.head);
  if (!head) throw new SetupError('the backup names no head of the audit log');
  return { head, key: manifest.key };
}

/** The scratch store speaks to nobody but the person who drills. */
const silent: Log = { event: () => undefined };

/** When the last drill passed whose report in `directory` this audit key signed. */
export function lastDrill(directory: string, key: string): Date | undefined {
  const names = readdirSync(directory).filter((name) => name.startsWith(reportPrefix) && name.endsWith('.json'));
  for (const name of names.sort().reverse()) {
    const report = readReport(join(directory, name), key);
    if (report?.passed) return new Date(report.at);
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

async function openAll({ keys }: OpenStore, { tenants }: Installation): Promise<{ keys: number; broken: number }> {
  let [opened, broken] = [0, 0];
  for (const tenant of [installationTenant, ...tenants.map(({ id }) => tenantId(id))]) {
    for (const key of await keys.ofTenant(tenant)) {
      // Destroyed and suspended ones open nothing.
      if (!keyStates[key.state].opens) continue;
      try {
        keys.withSecret(key, () => undefined);
        opened += 1;
      } catch {
        broken += 1;
      }
    }
  }
  return { keys: opened, broken };
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
