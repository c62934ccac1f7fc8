// What Redis holds of a message: ids, the ticket, the trace context. No address, no subject, no bytes of mail.

import { fail } from './errors.ts';
import { type DeliveryId, type MessageId, messageId, parseDeliveryId, type TenantId, tenantId } from './ids.ts';

/** W3C trace context, so one trace follows a message through every process. */
export interface TraceContext {
  readonly traceparent: string;
  readonly tracestate?: string;
}

interface Job {
  readonly v: 1;
  readonly tenant: TenantId;
  /** The signed ticket, base64url. */
  readonly ticket: string;
  readonly trace?: TraceContext;
  /** The span of the try before, which the next one links to. */
  readonly tried?: TraceContext;
}

/** A message for the crypto workers; its blob's id is the message id. */
export interface CryptoJob extends Job {
  readonly id: MessageId;
  /** An operator's release ticket, base64url: what the plan set aside may go unprotected. */
  readonly release?: string;
}

/** A message for the egress; its blob's id is the delivery id. */
export interface DeliveryJob extends Job {
  readonly id: DeliveryId;
  /** Recipients that are settled already, by their place in the envelope; the rest is tried again. */
  readonly settled: readonly SettledRecipient[];
  /** Attempts that reached a next hop so far. */
  readonly attempts: number;
}

export interface SettledRecipient {
  readonly at: number;
  readonly outcome: 'delivered' | 'bounced' | 'quarantined';
}

/** A ticket as jobs carry it. */
export function ticketText(bytes: Buffer): string {
  return bytes.toString('base64url');
}

export function ticketBytes(job: { readonly ticket: string }): Buffer {
  return Buffer.from(job.ticket, 'base64url');
}

/** Checks what Redis returned; throws `job-malformed`. */
export function readCryptoJob(value: unknown): CryptoJob {
  const { base, record } = readJob(value);
  const job = { ...base, id: checked(() => messageId(text(record.id))) };
  return record.release === undefined ? job : { ...job, release: text(record.release) };
}

/** Checks what Redis returned; throws `job-malformed`. */
export function readDeliveryJob(value: unknown): DeliveryJob {
  const { base, record } = readJob(value);
  const { settled, attempts } = record;
  if (!Array.isArray(settled) || !settled.every(isSettled) || !isCount(attempts)) throw fail('job-malformed');
  return { ...base, id: checked(() => parseDeliveryId(text(record.id))), settled, attempts };
}

function readJob(value: unknown): { base: Job; record: Record<string, unknown> } {
  if (!isRecord(value) || value.v !== 1) throw fail('job-malformed');
  const base: Job = {
    v: 1,
    tenant: checked(() => tenantId(text(value.tenant))),
    ticket: text(value.ticket),
    ...(isTrace(value.trace) ? { trace: value.trace } : {}),
    ...(isTrace(value.tried) ? { tried: value.tried } : {}),
  };
  return { base, record: value };
}

function isSettled(value: unknown): value is SettledRecipient {
  return (
    isRecord(value) &&
    Number.isSafeInteger(value.at) &&
    (value.outcome === 'delivered' || value.outcome === 'bounced' || value.outcome === 'quarantined')
  );
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isTrace(value: unknown): value is TraceContext {
  if (!isRecord(value)) return false;
  const { traceparent, tracestate = '' } = value;
  return typeof traceparent === 'string' && traceparent.length <= 128 && isTraceState(tracestate);
}

/** Only bounded by its writers (W3C Trace Context §3.3.1.5 wants 512 characters carried on). */
function isTraceState(value: unknown): boolean {
  return typeof value === 'string' && value.length <= 2_048;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw fail('job-malformed');
  return value;
}

function checked<T>(read: () => T): T {
  try {
    return read();
  } catch {
    throw fail('job-malformed');
  }
}
