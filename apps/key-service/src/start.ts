// Puts the key service together: store, audit log, server. It answers `status` and `unseal` from the start, and everything else
// once the store is open.

import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { type RunningService, readAuthorities, readIdentity, type ServiceContext } from '@sealpost/service';
import { installationTenant } from './authority/authority.ts';
import { certificateAges } from './certificate-ages.ts';
import { openHsm } from './hsm/open-hsm.ts';
import { openKeeper } from './keeper.ts';
import { keepTending } from './lifecycle/keep-tending.ts';
import { buildServer } from './server.ts';
import { readSlotFile } from './vault/slot-file.ts';

export async function start(context: ServiceContext): Promise<RunningService> {
  const { config, log, clock, telemetry } = context;
  const { credentials, caFile, passphraseFile } = config.keyService;
  const identity = readIdentity({
    certificateFile: join(credentials, 'key-service.crt'),
    keyFile: join(credentials, 'key-service.key'),
    passphraseFile,
  });
  const ca = readAuthorities(caFile);
  const { pkcs11 } = config.keyServer;
  const hsm = pkcs11 && openHsm({ ...pkcs11, onFailure: (reason) => log.event('hsm.failed', { reason }) });
  const trusted = new X509Certificate(ca).raw;
  const keeper = await openKeeper({ config, log, clock, trusted, ...(hsm ? { hsm } : {}) });
  await openByFile();
  telemetry.gauge('sealpost_key_store_open', () => (keeper.status().sealed ? 0 : 1));
  telemetry.gauge('sealpost_key_leases', () => (keeper.status().sealed ? 0 : keeper.store().leases.live(clock.now())));
  telemetry.gauge('sealpost_key_leases_kept', () =>
    keeper.status().sealed ? 0 : keeper.store().leases.revocations.late(clock.now()).length,
  );
  telemetry.gauge('sealpost_audit_failing', () => (isAuditFailing() ? 1 : 0));
  const tending = keepTending({
    keeper,
    clock,
    log,
    tenants: [installationTenant, ...config.tenants.map(({ id }) => id)],
  });
  telemetry.gauge('sealpost_key_rotation_due_timestamp_seconds', () =>
    tending.dues().map(({ tenant, use, at }) => ({ value: at.getTime() / 1000, labels: { tenant, use } })),
  );
  const ages = certificateAges(config.tenants.map(({ id }) => id));
  telemetry.gauge('sealpost_certificates', () => (keeper.status().sealed ? [] : ages(keeper.store(), clock.now())));

  const server = buildServer({
    config,
    identity,
    ca,
    keeper,
    clock,
    telemetry,
    onDenied: (caller, reason) => log.event('key.denied', { source: caller?.role ?? 'none', reason }),
  });
  await server.listen({ host: config.keyServer.listen.host, port: config.keyServer.listen.port });

  return {
    isReady: () => !keeper.status().sealed && !isAuditFailing(),
    isLive: () => true,
    async stop() {
      const closed = server.close();
      // Requests that workers keep open would hold up the end.
      if (!keeper.status().sealed) keeper.store().leases.revocations.release();
      await closed;
      await tending.stop();
      await keeper.close();
      await hsm?.close();
    },
  };

  function isAuditFailing(): boolean {
    return keeper.status().reason === 'audit-tampered' || keeper.journal().isFailing();
  }

  async function openByFile(): Promise<void> {
    const { slot } = config.keyServer;
    if (slot.kind !== 'file' || slot.file === undefined) return;
    try {
      const secret = readSlotFile(slot.file);
      await keeper.unseal('file', secret.bytes).finally(() => secret.bytes.fill(0));
    } catch (error) {
      keeper.slotFailed();
      log.event('process.failed', { reason: 'slot', ...(error instanceof Error ? { error } : {}) });
    }
  }
}
