// What a log line may say of an error. Messages of foreign errors stay out: an SMTP client's hold addresses, a parser's hold
// content. Class, code and stack places are enough to find the spot.

import { SealpostError, SetupError } from '@sealpost/core';

/** Deeper chains are loops or noise. */
const deepestCause = 3;
const mostPlaces = 12;
/** System and library codes are short words; anything else in `code` is not one. */
const codePattern = /^[A-Za-z0-9_.-]{1,64}$/;

export interface ErrorDescription {
  readonly type: string;
  readonly code?: string | undefined;
  /** Only of errors whose messages are ours: the table's, and those about the set-up. */
  readonly message?: string | undefined;
  readonly syscall?: string | undefined;
  readonly stack?: readonly string[];
  readonly cause?: ErrorDescription | undefined;
}

export function describeError(error: unknown, depth = 0): ErrorDescription {
  if (!(error instanceof Error)) return { type: typeof error };
  const { code, syscall } = error as Error & { code?: unknown; syscall?: unknown };
  const isOurs = error instanceof SealpostError || error instanceof SetupError;
  return {
    type: word(error.name) ?? 'Error',
    code: word(code),
    message: isOurs ? error.message : undefined,
    syscall: word(syscall),
    stack: placesOf(error),
    cause: error.cause === undefined || depth >= deepestCause ? undefined : describeError(error.cause, depth + 1),
  };
}

function word(value: unknown): string | undefined {
  return typeof value === 'string' && codePattern.test(value) ? value : undefined;
}

/** The stack behind the message that it begins with; nothing where the message was changed later and cannot be told apart. */
function placesOf({ stack = '', message }: Error): string[] {
  const at = stack.indexOf(message);
  if (at < 0) return [];
  return stack
    .slice(at + message.length)
    .split('\n')
    .filter((line) => /^ {4}at /.test(line))
    .map((line) => line.slice(7))
    .slice(0, mostPlaces);
}
