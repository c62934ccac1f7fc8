// The one table of errors: code → what to do, what SMTP says, what a person reads. `docs/errors.md` is held against it by a
// test. Messages are constants: BullMQ stores an error's message and stack in Redis, so nothing of a mail may go in.
// Enhanced status codes: RFC 3463, RFC 5248 registry.

/**
 * What the pipeline does with an error:
 * `retry` later until the message is too old (then `exhausted`), `reject` in the SMTP dialogue, `quarantine` with a reason,
 * `bounce` to the sender, `alert`: quarantine and wake somebody, because it should be impossible.
 */
export type ErrorAction = 'retry' | 'reject' | 'quarantine' | 'bounce' | 'alert';

export interface ErrorEntry {
  readonly action: ErrorAction;
  /** What happens when a `retry` runs out of time. */
  readonly exhausted?: 'bounce' | 'quarantine';
  /** Basic and enhanced SMTP status; for a bounce the enhanced code stands in the DSN. */
  readonly smtp: readonly [basic: number, enhanced: string];
  /** Public sentence: what happened and what to do; a constant. */
  readonly text: string;
}

const retry = (exhausted: 'bounce' | 'quarantine', basic: number, enhanced: string, text: string): ErrorEntry => ({
  action: 'retry',
  exhausted,
  smtp: [basic, enhanced],
  text,
});
const entry =
  (action: Exclude<ErrorAction, 'retry'>) =>
  (basic: number, enhanced: string, text: string): ErrorEntry => ({ action, smtp: [basic, enhanced], text });
const reject = entry('reject');
const quarantine = entry('quarantine');
const bounce = entry('bounce');
const alert = entry('alert');

export const errors = {
  // SMTP dialogue
  'relay-denied': reject(
    550,
    '5.7.1',
    'This host may not send mail through this gateway; ask its operator to list it as a source',
  ),
  'client-certificate-refused': reject(550, '5.7.1', 'The client certificate is not one of a configured source'),
  'tenant-unknown': reject(550, '5.7.1', 'The message does not name a tenant that this source may speak for'),
  'starttls-required': reject(530, '5.7.0', 'Must issue a STARTTLS command first'),
  'sender-malformed': reject(553, '5.1.7', 'The sender address is not valid'),
  'recipient-malformed': reject(553, '5.1.3', 'The recipient address is not valid'),
  'parameter-unsupported': reject(
    555,
    '5.5.4',
    'A parameter of the command is malformed or not one that this gateway carries on',
  ),
  'recipient-unknown': reject(550, '5.1.1', 'No such recipient here'),
  'recipient-unverified': reject(450, '4.1.1', 'The recipient cannot be checked now; try again later'),
  'domain-unknown': reject(550, '5.7.1', 'This gateway does not accept mail for that domain'),
  'recipients-mixed': reject(451, '4.5.3', 'Recipients of different organisations; send them in separate transactions'),
  'too-many-recipients': reject(452, '4.5.3', 'Too many recipients in one transaction; send the rest in another'),
  'message-too-large': reject(552, '5.3.4', 'The message is larger than this gateway and its next hop take'),
  'from-missing': reject(550, '5.6.0', 'The message has no usable From header field'),
  'from-multiple': reject(550, '5.6.0', 'The message must have exactly one From header field with exactly one address'),
  'from-not-allowed': reject(550, '5.7.1', 'The From domain is not one that this source may speak for'),
  'headers-malformed': reject(550, '5.6.0', 'The header section of the message is malformed'),
  'bare-newline': reject(550, '5.6.11', 'The message contains a bare CR or bare LF; lines must end with CRLF'),
  'nul-byte': reject(550, '5.6.11', 'The message contains a NUL byte'),
  'too-many-hops': reject(554, '5.4.6', 'Too many Received header fields; the message seems to loop'),
  'rate-limited': reject(450, '4.7.1', 'Too much mail from this client; try again later'),
  'too-many-sessions': reject(421, '4.7.0', 'Too many connections from this client; try again later'),
  'session-too-long': reject(421, '4.4.2', 'The session took too long'),
  'gateway-busy': reject(452, '4.3.1', 'The gateway holds as much mail as it may; try again later'),
  'gateway-stopping': reject(421, '4.3.2', 'The gateway is being restarted; try again in a moment'),

  // Dependencies: the same code answers 4xx at the ingress and means "later" in the queue
  'queue-unavailable': retry('quarantine', 451, '4.3.0', 'The queue cannot be reached; try again later'),
  'queue-full': retry('quarantine', 452, '4.3.1', 'The queue is full; try again later'),
  'blob-unavailable': retry('quarantine', 451, '4.3.0', 'The message store cannot be reached; try again later'),
  'key-service-unavailable': retry('quarantine', 451, '4.3.0', 'The key service cannot be reached; try again later'),
  'key-service-sealed': retry('quarantine', 451, '4.3.0', 'The key service is sealed; an operator has to open it'),
  'audit-unavailable': retry(
    'quarantine',
    451,
    '4.3.0',
    'The key service cannot write its audit log; an operator has to look',
  ),
  'lease-overloaded': retry('quarantine', 451, '4.3.0', 'The key service gives no more leases to this worker now'),
  'worker-overrun': retry('quarantine', 451, '4.3.0', 'The message took a worker longer than it may'),
  internal: retry('quarantine', 451, '4.3.0', 'An unexpected fault; the gateway will try again'),

  // Authenticity of what the queue holds
  'ticket-invalid': alert(554, '5.7.7', 'The ticket of a queued message is not genuine'),
  'ticket-expired': quarantine(554, '5.4.7', 'The ticket of a queued message is older than mail may wait'),
  'blob-missing': alert(554, '5.3.0', 'A queued message has no bytes in the store'),
  'blob-mismatch': alert(554, '5.7.7', 'The stored bytes are not those that the ticket names'),
  'envelope-mismatch': alert(554, '5.7.7', 'The envelope is not the one that the ticket names'),
  'plan-invalid': alert(554, '5.7.7', 'The stored plan of a message is not genuine'),
  'job-malformed': alert(554, '5.3.0', 'A queued job does not have the shape of one'),
  'key-denied': alert(554, '5.7.7', 'The key service refused a key for this message'),
  'key-in-place': alert(554, '5.7.7', 'The key is used inside the key service only; it is never lent'),

  // The worker's decisions
  'message-malformed': quarantine(
    554,
    '5.6.0',
    'The message cannot be processed: its MIME structure is broken or beyond the limits',
  ),
  'sender-without-key': bounce(550, '5.7.0', 'The policy demands a signature and the sender has no signing key'),
  'recipient-without-certificate': bounce(
    550,
    '5.7.5',
    'The policy demands encryption and no valid certificate of the recipient is known',
  ),
  'unprotected-null-sender': quarantine(
    554,
    '5.7.5',
    'The policy would bounce this message and it has no sender to return it to',
  ),
  'protection-failed': quarantine(554, '5.7.5', 'The message could not be signed or encrypted'),

  // Delivery
  'route-missing': retry('bounce', 451, '4.4.0', 'No next hop is configured for this recipient'),
  'next-hop-unavailable': retry('bounce', 451, '4.4.1', 'The next hop cannot be reached'),
  'next-hop-deferred': retry('bounce', 451, '4.4.0', 'The next hop asked to try again later'),
  'route-busy': retry('bounce', 451, '4.4.5', 'The route to the next hop carries as much mail as it may'),
  'next-hop-tls': retry('bounce', 454, '4.7.5', 'The next hop does not offer the TLS that its route demands'),
  'next-hop-refused': bounce(550, '5.0.0', 'The next hop refused the message'),
  'next-hop-incapable': bounce(554, '5.6.3', 'The next hop lacks an SMTP extension that the message needs'),
  'delivery-expired': bounce(554, '4.4.7', 'The message could not be delivered in time'),
  'mail-loop': bounce(554, '5.4.6', 'The message has been here before; it loops'),
  'bounce-undeliverable': quarantine(
    554,
    '5.3.0',
    'A delivery report could not be delivered; reports are never reported on',
  ),
  'quarantine-full': retry('quarantine', 452, '4.3.1', 'The quarantine is full; an operator has to look through it'),

  // Formats and operators
  'id-invalid': alert(554, '5.3.0', 'An identifier does not have the form of one'),
  'sealed-malformed': alert(554, '5.7.7', 'Sealed bytes are damaged or were made for something else'),
  'version-unsupported': quarantine(554, '5.3.0', 'Stored bytes were written by a version that this one does not read'),
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof errors;

/** An error of the table. `message` is the table's sentence, always; `cause` stays in the process that threw. */
export class SealpostError extends Error {
  override readonly name = 'SealpostError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, cause?: unknown) {
    super(errors[code].text, cause === undefined ? undefined : { cause });
    this.code = code;
  }

  get entry(): ErrorEntry {
    return errors[this.code];
  }
}

/** `throw fail('code')` reads as what it does. */
export function fail(code: ErrorCode, cause?: unknown): SealpostError {
  return new SealpostError(code, cause);
}

/** The table's code of whatever was thrown; `internal` for anything that is not of the table. */
export function codeOf(error: unknown): ErrorCode {
  return error instanceof SealpostError ? error.code : 'internal';
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errors, text);
}
