// The closed list of things a log line can say. Fields never hold content or a subject; addresses go through the log's keyed hash.

import type { ErrorCode } from './errors.ts';

export const events = {
  'process.started': 'info',
  'process.ready': 'info',
  'process.draining': 'info',
  'process.stopped': 'info',
  'process.failed': 'fatal',
  'config.warning': 'warn',
  'dependency.lost': 'warn',
  'dependency.back': 'info',
  'session.refused': 'info',
  'message.accepted': 'info',
  'message.refused': 'info',
  'message.decided': 'info',
  'message.protected': 'info',
  'message.opened': 'info',
  'message.passed': 'info',
  'message.bounced': 'info',
  'message.quarantined': 'warn',
  'message.released': 'info',
  'message.expired': 'warn',
  'job.later': 'info',
  'job.stalled': 'warn',
  'job.lock-lost': 'warn',
  'job.reconciled': 'warn',
  'queue.fault': 'warn',
  'blob.swept': 'info',
  'alert.authenticity': 'error',
  'alert.quarantine-full': 'error',
  'delivery.delivered': 'info',
  'delivery.deferred': 'info',
  'delivery.bounced': 'info',
  'delivery.possible-duplicate': 'warn',
  'store.opened': 'info',
  'store.sealed': 'info',
  'store.development': 'warn',
  'backup.made': 'info',
  'backup.removed': 'info',
  'backup.failed': 'error',
  'store.one-slot': 'warn',
  'hsm.failed': 'warn',
  'store.awaits-token': 'warn',

  'key.created': 'info',
  'key.imported': 'info',
  'key.rotated': 'info',
  'key.moved': 'info',
  'key.destroyed': 'warn',
  'key.certificate-wanted': 'warn',
  'key.not-tended': 'error',
  'key.leased': 'info',
  'key.denied': 'warn',
  'lease.kept': 'error',
  'certificate.issued': 'info',
  'certificate.imported': 'info',
  'trust.added': 'info',
  'audit.failed': 'error',
} as const satisfies Record<string, 'info' | 'warn' | 'error' | 'fatal'>;

export type EventName = keyof typeof events;

/** What a log line may carry beside its event. `address` is hashed by the log unless the operator turned addresses on. */
export interface EventFields {
  readonly tenant?: string;
  readonly message?: string;
  readonly delivery?: string;
  readonly direction?: string;
  readonly source?: string;
  readonly role?: string;
  readonly group?: string;
  readonly key?: string;
  readonly code?: ErrorCode;
  readonly reason?: string;
  readonly dependency?: string;
  readonly route?: string;
  readonly address?: string;
  readonly smtpStatus?: string;
  readonly count?: number;
  readonly bytes?: number;
  readonly durationMs?: number;
  readonly port?: number;
  readonly error?: Error;
}
