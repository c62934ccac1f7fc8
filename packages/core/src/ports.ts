// The seams between the pipeline's rooms. Each has one contract suite that its real forms and its memory twin pass.

import type { KeyObject } from 'node:crypto';
import type { Envelope } from './envelope.ts';
import type { ErrorCode } from './errors.ts';
import type { EventFields, EventName } from './events.ts';
import type { Fingerprint, KeyId, StageName, TenantId } from './ids.ts';
import type { TraceContext } from './job.ts';
import type { Outcome } from './outcome.ts';
import type { TicketSigner } from './ticket.ts';

export interface Clock {
  now(): Date;
}

export interface Log {
  event(name: EventName, fields?: EventFields): void;
}

/**
 * Sealed bytes by id. Errors: `blob-unavailable` when the store cannot be reached, `queue-full` when it has no room.
 */
export interface BlobStore {
  /** Durable when it resolves; writing an id again replaces its bytes. */
  put(id: string, bytes: Buffer): Promise<void>;
  /** Durable when it resolves; if the id has bytes already, keeps and returns those: the first writer wins. */
  putOnce(id: string, bytes: Buffer): Promise<Buffer>;
  get(id: string): Promise<Buffer | undefined>;
  /** No error for an id without bytes. */
  remove(id: string): Promise<void>;
  close(): Promise<void>;
}

/** Names that were done once, kept for a while: they outlive the job whose effect they record. Errors: `queue-unavailable`. */
export interface Marks {
  /** Durable when it resolves. */
  set(name: string, lifeMs: number): Promise<void>;
  has(name: string): Promise<boolean>;
}

export interface QueuedJob {
  readonly id: string;
  readonly tenant: TenantId;
  readonly trace?: TraceContext;
}

/** The sending side of a stage. Errors: `queue-unavailable`, `queue-full`. */
export interface Publisher<Job extends QueuedJob> {
  /** Durable when it resolves. A job whose id is queued already is left as it is: publishing again is harmless. */
  publish(jobs: readonly Job[]): Promise<void>;
  /** Whether the stage has a job with this id now, in whatever state: a retry must not replace the blob that its ticket names. */
  has(id: string): Promise<boolean>;
  close(): Promise<void>;
}

/** What a worker's handler may ask about the job in its hands. */
export interface Claim {
  /** True while this process still owns the job; asked right before an effect, because a blocked event loop loses the lock. */
  isHeld(): Promise<boolean>;
  /** Starts in a row right before this one that ended without a word: what they did may be done already. */
  readonly diedBefore: number;
  /** From publishing to this start, by the clocks of both hosts; known at the first start only. */
  readonly waitedMs?: number;
}

/** The receiving side of a stage: runs `handle` for each job; whatever it throws is settled by the error table. */
export interface Consumer {
  /** Stops fetching, waits for jobs in hand up to the deadline, then lets go of them (they stall over to another worker). */
  close(deadlineMs: number): Promise<void>;
  /** Jobs wait and none was fetched for this long; the measure of liveness. */
  idleWithBacklogMs(): Promise<number>;
}

/** `retryAs` says in which form the job comes back if this try throws, so that the next one knows of it. */
export type Handler<Job> = (job: Job, claim: Claim, retryAs: (job: Job) => void) => Promise<Outcome<Job>>;

/** What the queue shows of a stage. */
export interface StageStatus {
  readonly stage: StageName;
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
  readonly failed: number;
  /** Age of the oldest job not yet done, in milliseconds; 0 when there is none. */
  readonly oldestMs: number;
}

export interface QuarantineEntry {
  readonly id: string;
  readonly stage: StageName;
  readonly tenant: TenantId;
  readonly code: ErrorCode;
  readonly bytes: number;
  readonly since: Date;
  /** When it ends by itself. */
  readonly until: Date;
}

/** Jobs set aside with a reason. They keep their blob, are capped in number and bytes, and end by themselves. */
export interface Quarantine {
  list(limit: number): Promise<readonly QuarantineEntry[]>;
  get(id: string): Promise<QuarantineEntry | undefined>;
  /** The ticket of the job, which an operator shows to get the release ticket for it. */
  ticket(id: string): Promise<Buffer | undefined>;
  /** Puts the job back into its stage; `release`, base64url, is the operator's ticket that lets an unprotected message go. */
  requeue(id: string, release?: string): Promise<boolean>;
  /** Ends every entry whose time is over, its blob with it; returns what ended. */
  expire(now: Date): Promise<readonly QuarantineEntry[]>;
}

/** Public half of a stage's spool key. */
export interface SpoolPublicKey {
  readonly keyId: KeyId;
  readonly publicKey: KeyObject;
}

/** A certificate that the key service holds, with what it knows about its key. */
export interface CertificateRecord {
  readonly fingerprint: Fingerprint;
  /** DER. */
  readonly certificate: Buffer;
  /** DER of its issuers as far as known, nearest first. */
  readonly chain: readonly Buffer[];
  readonly address: string;
  /** Set where the private key is ours. */
  readonly keyId?: KeyId;
  /** Imported by an operator as the partner's certificate: trusted for encrypting to this address without a path. */
  readonly pinned: boolean;
  /** The key opens what was encrypted to it, and nothing new is: it was suspended, deactivated or compromised. */
  readonly opensOnly?: true;
}

/** Where recipients' and senders' certificates come from. */
export interface CertSource {
  /** All certificates known for an address in a tenant, own and partners', newest notBefore first. */
  certificates(tenant: TenantId, address: string): Promise<readonly CertificateRecord[]>;
  /** DER of the tenant's trusted roots. */
  trustAnchors(tenant: TenantId): Promise<readonly Buffer[]>;
}

/** Why a private key is asked for: the ticket proves that the job is genuine, the envelope (its hash in the ticket) names whom it serves. */
export interface KeyJustification {
  readonly ticket: Buffer;
  readonly envelope: Envelope;
}

/** A private key in memory for a short time. */
export interface KeyLease {
  readonly keyId: KeyId;
  readonly privateKey: KeyObject;
  readonly expiresAt: Date;
}

/** Complete signed attributes, for a key to sign where it is. */
export interface SigningItem {
  /** The signer's, which the attributes name. */
  readonly certificate: Fingerprint;
  /** Names of the engine, such as `rsa-pkcs1` and `sha256`. */
  readonly scheme: string;
  readonly digest: string;
  /** DER of the whole SET OF (RFC 5652 §5.4). */
  readonly signedAttributes: Buffer;
}

/** One RecipientInfo, for a key to open where it is. */
export interface OpeningItem {
  /** As received (BER). */
  readonly recipientInfo: Buffer;
  /** Octets that the content cipher wants. */
  readonly keyLength: number;
}

/**
 * The key service as the stages see it, over mTLS; each call is allowed to some roles only.
 * Errors: `key-service-unavailable`, `key-service-sealed`, `audit-unavailable`, `lease-overloaded`, `key-denied`.
 */
export interface KeyService extends CertSource {
  /** The stage's own ticket key, made in memory at start and certified for its role. */
  ticketSigner(): Promise<TicketSigner>;
  /** DER of the service CA's certificates, which certify ticket keys. */
  ticketAuthorities(): Promise<readonly Buffer[]>;
  spoolPublicKey(tenant: TenantId, stage: StageName): Promise<SpoolPublicKey>;
  /** Of the caller's own stage only. */
  spoolPrivateKey(keyId: KeyId): Promise<KeyObject>;
  /** The tenant's HMAC keys for our own markers, newest first; egress only. */
  markerKeys(tenant: TenantId): Promise<readonly Buffer[]>;
  /**
   * A user's private key for the job that the justification proves; crypto-worker only. Error: `key-in-place` for one that
   * never leaves the key service; the two calls below use it there.
   */
  lease(keyId: KeyId, justification: KeyJustification): Promise<KeyLease>;
  /** Signatures, one for each item, by a key that stays where it is; justified like a lease. */
  sign(keyId: KeyId, justification: KeyJustification, items: readonly SigningItem[]): Promise<readonly Buffer[]>;
  /** Content keys, one for each item, undefined where it does not open; justified like a lease. */
  openRecipients(
    keyId: KeyId,
    justification: KeyJustification,
    items: readonly OpeningItem[],
  ): Promise<readonly (Buffer | undefined)[]>;
  close(): Promise<void>;
}
