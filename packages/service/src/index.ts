// Everything that other rooms may use of the service room, one by one.

export { isApproval, requestHash, signApproval } from './approval.ts';
export { type Act, type ActFilter, type Exposure, findActs, findExposure } from './audit/acts.ts';
export {
  type AuditEntry,
  type AuditRecord,
  type ChainHead,
  type Checkpoint,
  chainLine,
  chainStart,
} from './audit/chain.ts';
export { holdsHead, maxGroupBytes, readLog, readSegment } from './audit/read-log.ts';
export { closedSegments, nextSegmentName, segmentName, segmentsOf } from './audit/segments.ts';
export { formatHead, headHeader, isGenuineHead, parseHead, type SignedHead, signHead } from './audit/signed-head.ts';
export { type ExportFormat, exportFormats, framed, syslogMessage } from './audit/syslog.ts';
export { type AuditFault, type AuditReport, type HeldHead, verifyLog } from './audit/verify-log.ts';
export { type RunningService, runService, type ServiceContext } from './boot.ts';
export { canonicalJson } from './canonical-json.ts';
export type { BlobsConfig } from './config/blobs.ts';
export { ConfigError } from './config/config-error.ts';
export type { EgressConfig, RouteConfig } from './config/egress.ts';
export { configFileVariable } from './config/environment.ts';
export type { HttpConfig } from './config/http.ts';
export { announcedBytes, type IngressConfig } from './config/ingress.ts';
export { type Installation, installation } from './config/installation.ts';
export type { KeyServerConfig } from './config/key-server.ts';
export type { KeyServiceConfig } from './config/key-service-client.ts';
export { loadConfig, parseConfig } from './config/load.ts';
export type { LogConfig } from './config/log.ts';
export { type QueueConfig, ticketLifeMs } from './config/queue.ts';
export type { RedisConfig } from './config/redis.ts';
export { minimalExample, renderReference } from './config/reference.ts';
export type { TelemetryConfig } from './config/telemetry.ts';
export type { TenantConfig, TenantsConfig } from './config/tenants.ts';
export type { WorkerConfig } from './config/worker.ts';
export { connectKeyAdmin, type KeyAdmin } from './key-admin.ts';
export { connectKeyService } from './key-client.ts';
export { type KeyCaller, type KeyConnection, openKeyConnection } from './key-connection.ts';
export { KeyFault, type KeyFaultCode, keyFaults } from './key-protocol/faults.ts';
export {
  type DecryptionAlgorithm,
  decryptionAlgorithms,
  decryptionPartner,
  type KeyAlgorithmName,
  type SigningAlgorithm,
  signingAlgorithms,
} from './key-protocol/key-algorithms.ts';
export { type KeyState, type KeyStep, keyStates, keyTransitions, stateAfter } from './key-protocol/key-states.ts';
export {
  type KeyAnswer,
  type KeyOperation,
  type KeyRequest,
  type KeyRequestInput,
  keyOperations,
} from './key-protocol/operations.ts';
export {
  type ApprovalRule,
  actName,
  type KeyPolicy,
  type PersonRole,
  personRoles,
  policyForm,
} from './key-protocol/policy.ts';
export { personName } from './key-protocol/staff.ts';
export { leaveNoCore } from './leave-no-core.ts';
export { startLog } from './log.ts';
export { openReleasedKey, sealReleasedKey } from './released-key.ts';
export {
  approveRestore,
  makeRestoreRequest,
  type RestoreApproval,
  type RestoreRequest,
  type RestoreSignatory,
  type RestoreWish,
  readRestoreApproval,
  readRestoreRequest,
} from './restore-request.ts';
export { type MadeSlot, makeNewSlot } from './seal/make-slot.ts';
export { openBox, sealBox } from './seal/sealed-box.ts';
export { combineShares, maxShares, type SplitSecret, shareIndex, splitSecret } from './seal/shamir.ts';
export { type Custodian, readCustodian, type ShareFiles, writeShares } from './seal/share-files.ts';
export {
  formatShare,
  maxShareFile,
  openServiceShare,
  readShare,
  sealShare,
  shareForService,
} from './seal/share-text.ts';
export {
  highestCost,
  type NewSlot,
  newSlotForm,
  type PassphraseCost,
  type SlotFacts,
  type SlotKind,
  slotForm,
  slotLabel,
} from './seal/slot-forms.ts';
export { fileSlot, passphraseBytes, passphraseSlot, shamirSlot, slotKey, slotPublicKey } from './seal/slot-secret.ts';
export { readQuorum, readSlotWish, type SlotWish } from './seal/slot-wish.ts';
export { stretchPassphrase } from './seal/stretch-passphrase.ts';
export { ephemeralBytes, type KeyPurpose, openKey, sealKey } from './sealed-key.ts';
export { spoolSessions } from './spool-sessions.ts';
export { type Step, steps } from './steps.ts';
export { attributeNames, type SpanAttributes, type SpanName } from './telemetry/attributes.ts';
export { jobSpan, messaging } from './telemetry/job-span.ts';
export type {
  CounterName,
  GaugeName,
  GaugeRead,
  HistogramName,
  Labels,
  MetricName,
  Reading,
} from './telemetry/metric-types.ts';
export { metrics } from './telemetry/metrics.ts';
export { showStages } from './telemetry/show-stages.ts';
export { stageMeters } from './telemetry/stage-meters.ts';
export { startTelemetry } from './telemetry/start-telemetry.ts';
export type { RunningTelemetry, SpanOptions, Telemetry } from './telemetry/telemetry.ts';
export { tlsFailure, tlsVersion } from './telemetry/tls-results.ts';
export { leastTlsVersion, readAuthorities, readIdentity, readSecret, type TlsFiles, type TlsIdentity } from './tls.ts';
export { DeadlineError, within } from './within.ts';
