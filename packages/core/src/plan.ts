// The stored decision about one message. It is written once before anything is published and every retry reuses it: a retry
// that regrouped recipients by what it finds now would lose or double mail (measured). Stored sealed, with a ticket of its own.

import { type ErrorCode, fail, isErrorCode } from './errors.ts';
import type { Direction, Fingerprint } from './ids.ts';

const planVersion = 1;

export type GroupAction =
  /** Unchanged below our trace lines. */
  | { readonly do: 'pass' }
  /** Sign with this certificate's key, encrypt to these; without either it goes as it came, by policy. */
  | { readonly do: 'protect'; readonly signWith?: Fingerprint; readonly encryptTo: readonly Fingerprint[] }
  /** Decrypt with the keys of these certificates, verify, report. */
  | { readonly do: 'open'; readonly openWith: readonly Fingerprint[] }
  | { readonly do: 'bounce'; readonly code: ErrorCode }
  | { readonly do: 'quarantine'; readonly code: ErrorCode };

/** Recipients, by their place in the envelope, who get the same bytes. */
export interface Group {
  readonly id: string;
  readonly recipients: readonly number[];
  readonly action: GroupAction;
}

export interface Plan {
  readonly direction: Direction;
  readonly groups: readonly Group[];
}

export function encodePlan(plan: Plan): Buffer {
  return Buffer.from(JSON.stringify({ v: planVersion, ...plan }), 'utf8');
}

/** Reads a stored plan for a message with `recipientCount` recipients; each must be in exactly one group, else `plan-invalid`. */
export function decodePlan(bytes: Buffer, recipientCount: number): Plan {
  const plan = parse(bytes);
  const seen = plan.groups.flatMap(({ recipients }) => recipients).sort((a, b) => a - b);
  const complete = seen.length === recipientCount && seen.every((at, index) => at === index);
  if (!complete || new Set(plan.groups.map(({ id }) => id)).size !== plan.groups.length) throw fail('plan-invalid');
  return plan;
}

function parse(bytes: Buffer): Plan {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw fail('plan-invalid');
  }
  if (!isRecord(value)) throw fail('plan-invalid');
  if (value.v !== planVersion) throw fail('version-unsupported');
  const { direction, groups } = value;
  if ((direction !== 'outbound' && direction !== 'inbound') || !Array.isArray(groups) || !groups.every(isGroup)) {
    throw fail('plan-invalid');
  }
  return { direction, groups };
}

function isGroup(value: unknown): value is Group {
  return (
    isRecord(value) &&
    typeof value.id === 'string' &&
    /^g[0-9]{1,6}$/.test(value.id) &&
    Array.isArray(value.recipients) &&
    value.recipients.every((at) => Number.isSafeInteger(at)) &&
    isAction(value.action)
  );
}

function isAction(value: unknown): value is GroupAction {
  if (!isRecord(value)) return false;
  switch (value.do) {
    case 'pass':
      return true;
    case 'protect':
      return (value.signWith === undefined || typeof value.signWith === 'string') && isTexts(value.encryptTo);
    case 'open':
      return isTexts(value.openWith);
    case 'bounce':
    case 'quarantine':
      return typeof value.code === 'string' && isErrorCode(value.code);
    default:
      return false;
  }
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
