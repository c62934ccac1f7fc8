// Delivery status notifications: RFC 3464 reports in an RFC 6522 multipart/report, with the outer header section of the message and
// never its body (a decrypted body must not travel in a bounce). The reporting text is constant; nothing of the upstream's words
// goes in but its status codes.

import type { EnvelopeRecipient } from './envelope.ts';

export type DsnAction = 'failed' | 'delayed' | 'relayed' | 'delivered';

export interface DsnRecipient {
  readonly recipient: EnvelopeRecipient;
  readonly action: DsnAction;
  /** Enhanced status, `5.1.1`. */
  readonly status: string;
  /** The next hop's reply code, where it gave one. */
  readonly replyCode?: number;
  /** A constant sentence about why. */
  readonly text: string;
}

export interface DsnFacts {
  /** Host name that reports. */
  readonly reportingMta: string;
  /** From address of the report, `postmaster@…`. */
  readonly from: string;
  /** The original MAIL FROM. */
  readonly to: string;
  readonly recipients: readonly DsnRecipient[];
  /** ENVID of the original (RFC 3461 §4.4). */
  readonly envid?: string;
  readonly arrivedAt: Date;
  readonly now: Date;
  /** The report's own Message-ID without brackets. */
  readonly messageId: string;
  /** Outer header section of the original, CRLF lines. */
  readonly originalHeaders: Buffer;
}

/** Longest header section that a report returns. */
const maxReturnedHeaders = 64 * 1024;

/** The report as canonical CRLF bytes. To be sent with the null sender (RFC 3461 §6). */
export function composeDsn(facts: DsnFacts): Buffer {
  const boundary = `=_sealpost_${facts.messageId.replace(/[^A-Za-z0-9]/g, '').slice(0, 40)}`;
  const failed = facts.recipients.some(({ action }) => action === 'failed');
  const returned = facts.originalHeaders.subarray(0, maxReturnedHeaders);
  const isGlobal =
    returned.some((byte) => byte > 127) || facts.recipients.some(({ recipient }) => !isAscii(recipient.address));
  const flavour = isGlobal ? 'global-' : '';
  const lines = [
    `Date: ${mailDate(facts.now)}`,
    `From: Mail Delivery System <${facts.from}>`,
    `To: <${facts.to}>`,
    `Subject: ${failed ? 'Undelivered mail returned to sender' : 'Delivery status of your mail'}`,
    `Message-ID: <${facts.messageId}>`,
    'Auto-Submitted: auto-replied',
    'MIME-Version: 1.0',
    `Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="${boundary}"`,
    '',
    `--${boundary}`,
    'Content-Type: text/plain; charset=utf-8',
    ...(isGlobal ? ['Content-Transfer-Encoding: 8bit'] : []),
    '',
    `This is the mail gateway at ${facts.reportingMta}.`,
    '',
    ...facts.recipients.flatMap(({ recipient, status, text }) => [
      `<${recipient.address}>`,
      `    ${status} ${text}.`,
      '',
    ]),
    `--${boundary}`,
    `Content-Type: message/${flavour}delivery-status`,
    ...(isGlobal ? ['Content-Transfer-Encoding: 8bit'] : []),
    '',
    `Reporting-MTA: dns; ${facts.reportingMta}`,
    ...(facts.envid === undefined ? [] : [`Original-Envelope-Id: ${unxtext(facts.envid)}`]),
    `Arrival-Date: ${mailDate(facts.arrivedAt)}`,
    '',
    ...facts.recipients.flatMap((each) => recipientFields(each, isGlobal)),
    `--${boundary}`,
    `Content-Type: ${isGlobal ? 'message/global-headers' : 'text/rfc822-headers'}`,
    ...(isGlobal ? ['Content-Transfer-Encoding: 8bit'] : []),
    '',
  ];
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n`), returned, Buffer.from(`\r\n--${boundary}--\r\n`)]);
}

function recipientFields({ recipient, action, status, replyCode }: DsnRecipient, isGlobal: boolean): string[] {
  const type = isGlobal && !isAscii(recipient.address) ? 'utf-8' : 'rfc822';
  return [
    ...(recipient.orcpt === undefined ? [] : [`Original-Recipient: ${originalRecipient(recipient.orcpt)}`]),
    `Final-Recipient: ${type}; ${recipient.address}`,
    `Action: ${action}`,
    `Status: ${status}`,
    ...(replyCode === undefined ? [] : [`Diagnostic-Code: smtp; ${replyCode} ${status}`]),
    '',
  ];
}

/** `type;xtext` as given in ORCPT, decoded for the report (RFC 3464 §2.3.1). */
function originalRecipient(orcpt: string): string {
  const at = orcpt.indexOf(';');
  return `${orcpt.slice(0, at)}; ${unxtext(orcpt.slice(at + 1))}`;
}

/** Decodes xtext (RFC 3461 §4), leaving out what could end the line. */
function unxtext(text: string): string {
  return text
    .replace(/\+([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    .replace(/\p{Cc}/gu, '?');
}

/** RFC 5322 §3.3, in UTC. */
export function mailDate(at: Date): string {
  return at.toUTCString().replace('GMT', '+0000');
}

function isAscii(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}
