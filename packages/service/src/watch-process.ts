// What is true of every process and seen from outside too late: how much processor time it uses, and when the certificates that it
// shows to others end. They were read at the start, so a file that was renewed since counts from the next start on.

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ServiceRole } from '@sealpost/core';
import type { Installation } from './config/installation.ts';
import type { Labels, Reading } from './telemetry/metric-types.ts';
import type { Telemetry } from './telemetry/telemetry.ts';

const expiry = 'sealpost_process_certificate_expiry_timestamp_seconds';
type Certificate = Labels<typeof expiry>['certificate'];

export function watchProcess(telemetry: Telemetry, role: ServiceRole, config: Installation): void {
  telemetry.gauge('sealpost_process_cpu_seconds_total', () => {
    const { user, system } = process.cpuUsage();
    return [{ value: (user + system) / 1e6, labels: { role } }];
  });

  const files: readonly (readonly [Certificate, string])[] = [
    ['service', join(config.keyService.credentials, `${role}.crt`)],
    ...(role === 'ingress' && config.ingress.tls ? [['listener', config.ingress.tls.certificateFile] as const] : []),
  ];
  const ends = files.flatMap(([certificate, file]) => endOf(certificate, file));
  telemetry.gauge(expiry, () => ends);
}

/** Nothing for a file that cannot be read: the process says so itself when it needs it. */
function endOf(certificate: Certificate, file: string): Reading<typeof expiry>[] {
  try {
    const { validToDate } = new X509Certificate(readFileSync(file));
    return [{ value: validToDate.getTime() / 1000, labels: { certificate } }];
  } catch {
    return [];
  }
}
