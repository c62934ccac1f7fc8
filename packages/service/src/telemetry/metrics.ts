// Every metric there is, with its labels. A label's values are a closed list, a code of the error table or a name from the
// configuration: never something that mail brings along, which would let a stranger grow the number of series (the one exception is
// asked for and bounded by the configuration, `egress.waitingDomains`). Add a row here before using it. Names follow Prometheus: base units, `_total` for counters. `docs/metrics.md` is made from it.

import { type EventName, events, type ServiceRole } from '@sealpost/core';
import { type KeyOperation, keyOperations } from '../key-protocol/operations.ts';
import { spanNames } from './attributes.ts';
import { tlsFailures, tlsVersions } from './tls-results.ts';

interface Row {
  readonly kind: 'counter' | 'histogram' | 'gauge';
  readonly help: string;
  /** The processes that show it. */
  readonly by: readonly ServiceRole[];
  readonly labels: Readonly<Record<string, LabelValues>>;
  /** Upper bounds of a histogram's buckets. */
  readonly buckets?: readonly number[];
  /** A gauge that only grows, which Prometheus calls a counter. */
  readonly grows?: true;
}

/** `configured`: a tenant, source or route; `code`: of the error table; `domain`: at most `egress.waitingDomains`, and `other`. */
type LabelValues = readonly string[] | 'configured' | 'code' | 'domain';

const directions = ['outbound', 'inbound'] as const;
const stages = ['crypto', 'delivery'] as const;
const roles = ['ingress', 'crypto-worker', 'egress', 'key-service'] as const;
const stageRoles = ['crypto-worker', 'egress'] as const;

/** From a millisecond to the longest a message may take a worker. */
const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const;
/** From one second to the longest that mail may wait. */
const ageBuckets = [1, 2, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400, 432_000] as const;
/** From no wait to speak of to mail that is late. */
const waitBuckets = [0.005, 0.025, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3_600] as const;
const byteBuckets = [1e3, 1e4, 1e5, 1e6, 5e6, 1e7, 2.5e7, 5e7] as const;

export const metrics = {
  sealpost_messages_accepted_total: {
    kind: 'counter',
    help: 'Messages that the ingress answered for with 250',
    by: ['ingress'],
    labels: { direction: directions, tenant: 'configured' },
  },
  sealpost_messages_refused_total: {
    kind: 'counter',
    help: 'Commands and messages that the ingress refused, by error code',
    by: ['ingress'],
    labels: { direction: directions, code: 'code' },
  },
  sealpost_message_bytes: {
    kind: 'histogram',
    help: 'Size of accepted messages',
    by: ['ingress'],
    labels: { direction: directions },
    buckets: byteBuckets,
  },
  sealpost_accept_seconds: {
    kind: 'histogram',
    help: 'From the end of a message at the ingress to its 250, when message and job are on disk',
    by: ['ingress'],
    labels: { direction: directions },
    buckets: secondsBuckets,
  },
  sealpost_ingress_sessions: {
    kind: 'gauge',
    help: 'SMTP sessions open at the ingress',
    by: ['ingress'],
    labels: { direction: directions },
  },
  sealpost_tls_handshakes_total: {
    kind: 'counter',
    help: 'TLS handshakes with clients, by version or by why they failed: a certificate that one side does not believe, no common version or cipher, a connection that ended',
    by: ['ingress', 'key-service'],
    labels: { door: [...directions, 'key-service'], result: [...tlsVersions, ...tlsFailures] },
  },
  sealpost_ingress_bytes_in_flight: {
    kind: 'gauge',
    help: 'Bytes of mail that the ingress holds and has not answered for yet',
    by: ['ingress'],
    labels: {},
  },
  sealpost_messages_processed_total: {
    kind: 'counter',
    help: 'Messages that left the crypto worker, by what was done',
    by: ['crypto-worker'],
    labels: {
      direction: directions,
      tenant: 'configured',
      action: ['pass', 'protect', 'open', 'bounce', 'quarantine'],
    },
  },
  sealpost_signatures_checked_total: {
    kind: 'counter',
    help: 'Inbound signatures by verdict',
    by: ['crypto-worker'],
    labels: { tenant: 'configured', verdict: ['verified', 'unverified', 'unsigned'] },
  },
  sealpost_recipients_settled_total: {
    kind: 'counter',
    help: 'Recipients by how they ended at the egress',
    by: ['egress'],
    labels: { direction: directions, route: 'configured', outcome: ['delivered', 'bounced', 'quarantined'] },
  },
  sealpost_deliveries_deferred_total: {
    kind: 'counter',
    help: 'Tries of a delivery that have to be repeated, by error code',
    by: ['egress'],
    labels: { route: 'configured', code: 'code' },
  },
  sealpost_bounces_total: {
    kind: 'counter',
    help: 'What was sent back, by error code: groups of recipients by the crypto worker, single recipients by the egress',
    by: stageRoles,
    labels: { stage: stages, code: 'code' },
  },
  sealpost_possible_duplicates_total: {
    kind: 'counter',
    help: 'Deliveries repeated although the next hop may have taken the message already',
    by: ['egress'],
    labels: { route: 'configured' },
  },
  sealpost_route_connections: {
    kind: 'gauge',
    help: 'Connections open to the next hop of a route',
    by: ['egress'],
    labels: { route: 'configured' },
  },
  sealpost_route_sessions_total: {
    kind: 'counter',
    help: 'Sessions with a next hop that were opened or given up, by TLS version (`plain`: without) or by why there was none: STARTTLS not offered or refused, a certificate that is not believed, no common version or cipher, a connection that ended',
    by: ['egress'],
    labels: { route: 'configured', tls: [...tlsVersions, 'plain', 'refused', ...tlsFailures] },
  },
  sealpost_route_oldest_seconds: {
    kind: 'gauge',
    help: 'Age of the oldest mail of a route that waits for another try, as far as this process tried it last; 0 for none',
    by: ['egress'],
    labels: { route: 'configured' },
  },
  sealpost_route_waiting_recipients: {
    kind: 'gauge',
    help: 'Recipients of a route who wait for another try, as far as this process tried them last; 50,000 at most',
    by: ['egress'],
    labels: { route: 'configured' },
  },
  sealpost_domain_oldest_seconds: {
    kind: 'gauge',
    help: 'Age of the oldest mail that waits for another try, by domain of its recipients: those that wait longest, where `egress.waitingDomains` asks for it',
    by: ['egress'],
    labels: { domain: 'domain' },
  },
  sealpost_domain_waiting_recipients: {
    kind: 'gauge',
    help: 'Recipients of these domains who wait for another try',
    by: ['egress'],
    labels: { domain: 'domain' },
  },
  sealpost_route_bytes_in_flight: {
    kind: 'gauge',
    help: 'Bytes of mail in hand for a route',
    by: ['egress'],
    labels: { route: 'configured' },
  },
  sealpost_message_seconds: {
    kind: 'histogram',
    help: 'From the 250 of the ingress to the last recipient settled',
    by: ['egress'],
    labels: { direction: directions },
    buckets: ageBuckets,
  },
  sealpost_queue_jobs: {
    kind: 'gauge',
    help: 'Jobs of a stage by state; `failed` are those set aside in the quarantine',
    by: ['ingress', ...stageRoles],
    labels: { stage: stages, state: ['waiting', 'active', 'delayed', 'failed'] },
  },
  sealpost_queue_oldest_seconds: {
    kind: 'gauge',
    help: 'Age of the oldest job of a stage that is not done',
    by: ['ingress', ...stageRoles],
    labels: { stage: stages },
  },
  sealpost_queue_wait_seconds: {
    kind: 'histogram',
    help: 'From the publishing of a job to its first start',
    by: stageRoles,
    labels: { stage: stages },
    buckets: waitBuckets,
  },
  sealpost_job_seconds: {
    kind: 'histogram',
    help: 'Time that one try of a job took, pauses for other jobs and for answers included',
    by: stageRoles,
    labels: { stage: stages },
    buckets: secondsBuckets,
  },
  sealpost_messages_quarantined_total: {
    kind: 'counter',
    help: 'Jobs set aside, by error code',
    by: stageRoles,
    labels: { stage: stages, code: 'code' },
  },
  sealpost_step_seconds: {
    kind: 'histogram',
    help: 'Time that a step of a pipeline took',
    by: ['ingress', 'crypto-worker', 'egress'],
    labels: { step: spanNames },
    buckets: secondsBuckets,
  },
  sealpost_step_errors_total: {
    kind: 'counter',
    help: 'Steps that ended with an error, by error code',
    by: ['ingress', 'crypto-worker', 'egress'],
    labels: { step: spanNames, code: 'code' },
  },
  sealpost_key_calls_total: {
    kind: 'counter',
    help: 'Calls answered by the key service, by operation; `ok` for those that it fulfilled',
    by: ['key-service'],
    labels: {
      role: ['ingress', 'crypto-worker', 'egress', 'operator', 'key-admin', 'custodian', 'auditor', 'none'],
      operation: Object.keys(keyOperations) as KeyOperation[],
      outcome: ['ok', 'denied', 'failed'],
    },
  },
  sealpost_key_leases: {
    kind: 'gauge',
    help: 'Leases of private keys that have not run out',
    by: ['key-service'],
    labels: {},
  },
  sealpost_key_rotation_due_timestamp_seconds: {
    kind: 'gauge',
    help: 'When the next key of a tenant and use is to be rotated, as Unix time; read hourly',
    by: ['key-service'],
    labels: { tenant: 'configured', use: ['signing', 'decryption', 'spool', 'mac', 'ca'] },
  },
  sealpost_key_leases_kept: {
    kind: 'gauge',
    help: 'Workers that did not say in time that a lease called back is gone, and get no more',
    by: ['key-service'],
    labels: {},
  },
  sealpost_key_store_open: {
    kind: 'gauge',
    help: '1 while the key store is open, 0 while it is sealed',
    by: ['key-service'],
    labels: {},
  },
  sealpost_key_store_awaits_token: {
    kind: 'gauge',
    help: '1 while the key store waits for the token that opens it, which is tried again, else 0',
    by: ['key-service'],
    labels: {},
  },
  sealpost_backup_age_seconds: {
    kind: 'gauge',
    help: 'Time since the newest backup of the key store, where backups are configured; since 1970 when there is none',
    by: ['key-service'],
    labels: {},
  },
  sealpost_backup_drill_age_seconds: {
    kind: 'gauge',
    help: 'Time since the last drill that restored a backup and passed, where backups are configured; since 1970 when there was none',
    by: ['key-service'],
    labels: {},
  },
  sealpost_audit_export_behind: {
    kind: 'gauge',
    help: 'Records of the audit log that were not sent to a collector yet',
    by: ['key-service'],
    labels: { target: 'configured' },
  },
  sealpost_audit_failing: {
    kind: 'gauge',
    help: '1 while the audit log cannot be written or is not genuine, 0 while it is sound',
    by: ['key-service'],
    labels: {},
  },
  sealpost_certificates: {
    kind: 'gauge',
    help: 'Certificates in use, the latest of each holder and use, by the time that they are valid for yet; read hourly',
    by: ['key-service'],
    labels: {
      tenant: 'configured',
      holder: ['own', 'partner', 'authority'],
      left: ['ended', '7 days', '30 days', '90 days', 'longer'],
    },
  },
  sealpost_key_cache_total: {
    kind: 'counter',
    help: 'Questions to what a stage remembers of the key service: known, asked for, or old because the service is away',
    by: ['ingress', 'crypto-worker', 'egress'],
    labels: {
      cache: ['signer', 'authorities', 'spool-public', 'spool-private', 'marker', 'certificates', 'anchors', 'lease'],
      result: ['hit', 'miss', 'stale'],
    },
  },
  sealpost_ledger_missing: {
    kind: 'gauge',
    help: 'Jobs that were queued, have not come to their end and are not there: accepted mail that is neither settled nor in flight; `none` for a tenant that is not in the configuration',
    by: ['ingress'],
    labels: { tenant: 'configured' },
  },
  sealpost_redis_memory_bytes: {
    kind: 'gauge',
    help: 'Memory of Redis: what is used and `maxmemory`, 0 for no limit',
    by: ['ingress'],
    labels: { which: ['used', 'limit'] },
  },
  sealpost_redis_persisting: {
    kind: 'gauge',
    help: '1 while Redis writes its append-only file and the last write succeeded, else 0',
    by: ['ingress'],
    labels: {},
  },
  sealpost_redis_commands_total: {
    kind: 'gauge',
    grows: true,
    help: 'Commands that Redis carried out, of all its clients; by messages accepted, the commands that a message costs',
    by: ['ingress'],
    labels: {},
  },
  sealpost_redis_cpu_seconds_total: {
    kind: 'gauge',
    grows: true,
    help: 'Processor time of Redis, user and system',
    by: ['ingress'],
    labels: {},
  },
  sealpost_redis_network_bytes_total: {
    kind: 'gauge',
    grows: true,
    help: 'Bytes that Redis received and sent',
    by: ['ingress'],
    labels: { direction: ['in', 'out'] },
  },
  sealpost_process_certificate_expiry_timestamp_seconds: {
    kind: 'gauge',
    help: 'When a certificate that the process shows to others ends, as Unix time',
    by: roles,
    labels: { certificate: ['service', 'listener'] },
  },
  sealpost_process_cpu_seconds_total: {
    kind: 'gauge',
    grows: true,
    help: 'Processor time of the process, user and system',
    by: roles,
    labels: { role: roles },
  },
  sealpost_events_total: {
    kind: 'counter',
    help: 'Log events by name; those that begin with `alert` want somebody to look',
    by: roles,
    labels: { event: Object.keys(events) as EventName[] },
  },
  sealpost_event_loop_lag_seconds: {
    kind: 'gauge',
    help: 'Longest delay of the event loop since the last reading',
    by: roles,
    labels: {},
  },
} as const satisfies Record<string, Row>;
