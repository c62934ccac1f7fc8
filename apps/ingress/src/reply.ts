// The one place where an error becomes an SMTP reply: code, enhanced status (RFC 2034, RFC 3463) and sentence of the error table.

import { codeOf, type ErrorCode, errors } from '@sealpost/core';

/** What smtp-server sends when a handler gives it an error. */
export interface Refusal extends Error {
  readonly responseCode: number;
}

/**
 * The reply to whatever was thrown. Only a code made for the SMTP dialogue (`reject`) may refuse for good: a fault of ours or of
 * something behind us asks the client to come again, because the message is still whole in its hands.
 */
export function refusal(error: unknown): Refusal {
  const code = repliedCode(error);
  return Object.assign(new Error(replyText(code)), { responseCode: errors[code].smtp[0] });
}

/** The code that the reply names. */
export function repliedCode(error: unknown): ErrorCode {
  const code = codeOf(error);
  const { action, smtp } = errors[code];
  return action === 'reject' || smtp[0] < 500 ? code : 'internal';
}

/** `5.7.1 sentence`. */
export function replyText(code: ErrorCode): string {
  const { smtp, text } = errors[code];
  return `${smtp[1]} ${text}`;
}
