// JSON lines on standard output: an event of the closed list with the fields that core allows, the trace id, nothing else.
// Addresses are a keyed hash (HMAC-SHA256, RFC 2104) unless the operator turned them on.

import { createHmac, randomBytes } from 'node:crypto';
import { type EventFields, events, type Log, normalAddress, SetupError, type TraceContext } from '@sealpost/core';
import { type DestinationStream, pino } from 'pino';
import type { LogConfig } from './config/log.ts';
import { describeError } from './log-error.ts';
import { readSecret } from './tls.ts';

/** RFC 2104 §3: a key shorter than the hash weakens it. */
const leastKeyBytes = 32;
/** 128 bits tell any number of addresses apart. */
const hashDigits = 32;

export interface LogOptions {
  readonly config: LogConfig;
  readonly role: string;
  readonly instance: string;
  /** The context of the running span. */
  readonly current: () => TraceContext | undefined;
  /** Standard output unless given. Written synchronously, so that the last line before a crash is there. */
  readonly destination?: DestinationStream;
}

/** Throws SetupError for a hash key that is too short. */
export function startLog({ config, role, instance, current, destination }: LogOptions): Log {
  const hashKey = readHashKey(config.hashKeyFile);
  const lines = pino(
    {
      level: config.level,
      base: { role, instance },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination ?? pino.destination({ fd: 1, sync: true }),
  );
  const shownAddress = (address: string): string =>
    config.addresses
      ? address
      : createHmac('sha256', hashKey).update(normalAddress(address)).digest('hex').slice(0, hashDigits);

  return {
    event(name, fields = {}) {
      lines[events[name]]({ event: name, ...traceOf(current()), ...shown(fields, shownAddress) });
    },
  };
}

/** Every field that a line may hold; the type makes this the same list as core's. */
const plainFields: { readonly [Field in Exclude<keyof EventFields, 'address' | 'error'>]: true } = {
  tenant: true,
  message: true,
  delivery: true,
  direction: true,
  source: true,
  role: true,
  group: true,
  key: true,
  code: true,
  reason: true,
  dependency: true,
  route: true,
  smtpStatus: true,
  count: true,
  bytes: true,
  durationMs: true,
  port: true,
};

function shown(fields: EventFields, shownAddress: (address: string) => string): Record<string, unknown> {
  const line: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (Object.hasOwn(plainFields, name)) line[name] = value;
  }
  if (fields.address !== undefined) line.address = shownAddress(fields.address);
  if (fields.error !== undefined) line.error = describeError(fields.error);
  return line;
}

/** `00-<trace>-<span>-<flags>` (W3C Trace Context §3.2). */
function traceOf(context: TraceContext | undefined): { trace?: string; span?: string } {
  const [, trace, span] = context?.traceparent.split('-') ?? [];
  return trace === undefined || span === undefined ? {} : { trace, span };
}

function readHashKey(file: string | undefined): Buffer | string {
  if (file === undefined) return randomBytes(leastKeyBytes);
  const key = readSecret(file);
  if (key.length < leastKeyBytes) throw new SetupError('log.hashKeyFile holds less than 32 characters');
  return key;
}
