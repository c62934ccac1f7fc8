// Everything that other rooms may use of core, one by one.

export { domainOf, isAddress, normalAddress } from './address.ts';
export { composeDsn, type DsnAction, type DsnFacts, type DsnRecipient, mailDate } from './dsn.ts';
export {
  decodeEnvelope,
  type Envelope,
  type EnvelopeRecipient,
  encodeEnvelope,
  envelopeHash,
  envelopeSalt,
  type NotifyWhen,
} from './envelope.ts';
export {
  codeOf,
  type ErrorAction,
  type ErrorCode,
  type ErrorEntry,
  errors,
  fail,
  isErrorCode,
  SealpostError,
} from './errors.ts';
export { type EventFields, type EventName, events } from './events.ts';
export {
  encapsulatedLength,
  type HpkeReceiver,
  type HpkeSender,
  rawPublicKey,
  setupReceiver,
  setupSender,
  tagLength,
  x25519PrivateKey,
  x25519PublicKey,
} from './hpke.ts';
export {
  type DeliveryId,
  type Direction,
  deliveryId,
  type Fingerprint,
  formatKeyId,
  type KeyId,
  type KeyName,
  type KeyUse,
  type MessageId,
  messageId,
  messageOf,
  newMessageId,
  parseDeliveryId,
  parseKeyId,
  type ServiceRole,
  type StageName,
  spoolIdentity,
  type TenantId,
  tenantId,
} from './ids.ts';
export {
  type CryptoJob,
  type DeliveryJob,
  readCryptoJob,
  readDeliveryJob,
  type SettledRecipient,
  type TraceContext,
  ticketBytes,
  ticketText,
} from './job.ts';
export { isOwnerOf } from './justify.ts';
export { isOwnMarker, loopField, loopMarker } from './loop.ts';
export { type ErrorOutcome, type Outcome, outcomeOf, retryDelayMs } from './outcome.ts';
export { decodePlan, encodePlan, type Group, type GroupAction, type Plan } from './plan.ts';
export {
  decide,
  type Exemption,
  type Facts,
  type InboundFacts,
  type InboundPolicy,
  type InboundRecipient,
  type OutboundFacts,
  type OutboundPolicy,
  type OutboundRecipient,
  type TenantPolicy,
} from './policy.ts';
export type {
  BlobStore,
  CertificateRecord,
  CertSource,
  Claim,
  Clock,
  Consumer,
  Handler,
  KeyJustification,
  KeyLease,
  KeyService,
  Log,
  Marks,
  OpeningItem,
  Publisher,
  Quarantine,
  QuarantineEntry,
  QueuedJob,
  SigningItem,
  SpoolPublicKey,
  StageStatus,
} from './ports.ts';
export {
  openBytes,
  openMessage,
  type SealContext,
  type SpooledMessage,
  sealBytes,
  sealedKeyId,
  sealMessage,
} from './seal.ts';
export { SetupError } from './setup-error.ts';
export { newSpoolSession, type SpoolSession, type SpoolSessions } from './spool-session.ts';
export {
  signTicket,
  TICKET_PURPOSE,
  type Ticket,
  type TicketKind,
  type TicketSigner,
  type TicketVerifier,
  ticketHash,
  ticketVerifier,
} from './ticket.ts';
export { type Frame, readFrame, readTimeField, timeField, writeFrame } from './wire.ts';
