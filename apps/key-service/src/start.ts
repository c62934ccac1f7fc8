// Puts the key service together: store, audit log, server. It answers `status` and `unseal` from the start, and everything else
// once the store is open.

import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { type RunningService, readAuthorities, readIdentity, type ServiceContext } from '@sealpost/service';
import { exportLog } from './audit/export-log.ts';
import { installationTenant } from './authority/authority.ts';
import { keepBackups } from './backup/backups.ts';
import { certificateAges } from './certificate-ages.ts';
import { openHsm } from './hsm/open-hsm.ts';
import { openKeeper } from './keeper.ts';
import { keepTending } from './lifecycle/keep-tending.ts';
import { openByItself } from './open-by-itself.ts';
import { buildServer } from './server.ts';

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
  const opening = await openByItself(config.keyServer, keeper, log);
  telemetry.gauge('sealpost_key_store_open', () => (keeper.isSealed() ? 0 : 1));
  telemetry.gauge('sealpost_key_store_awaits_token', () => (keeper.reason() === 'awaits-token' ? 1 : 0));
  telemetry.gauge('sealpost_key_leases', () => (keeper.isSealed() ? 0 : keeper.store().leases.live(clock.now())));
  telemetry.gauge('sealpost_key_leases_kept', () =>
    keeper.isSealed() ? 0 : keeper.store().leases.revocations.late(clock.now()).length,
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
  telemetry.gauge('sealpost_certificates', () => (keeper.isSealed() ? [] : ages(keeper.store(), clock.now())));

  const backups = keepBackups(config.keyServer.backup, keeper, log, clock);
  telemetry.gauge('sealpost_backup_age_seconds', () => backups.ages().backup);
  telemetry.gauge('sealpost_backup_drill_age_seconds', () => backups.ages().drill);

  const exports = config.keyServer.audit.export.map((target) => ({
    target: target.name,
    run: exportLog({ config, target, log, durable: () => (isAuditTampered() ? 0 : keeper.journal().head().head.seq) }),
  }));
  telemetry.gauge('sealpost_audit_export_behind', () =>
    exports.map(({ target, run }) => ({ value: run.behind(), labels: { target } })),
  );

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
    isReady: () => !keeper.isSealed() && !isAuditFailing(),
    isLive: () => true,
    async stop() {
      opening.stop();
      backups.stop();
      await Promise.all(exports.map(({ run }) => run.stop()));
      const closed = server.close();
      // Requests that workers keep open would hold up the end.
      if (!keeper.isSealed()) keeper.store().leases.revocations.release();
      await closed;
      await tending.stop();
      await keeper.close();
      await hsm?.close();
    },
  };

  function isAuditTampered(): boolean {
    return keeper.reason() === 'audit-tampered';
  }

  function isAuditFailing(): boolean {
    return isAuditTampered() || keeper.journal().isFailing();
  }
}
