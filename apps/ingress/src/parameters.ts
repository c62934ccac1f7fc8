// MAIL and RCPT as the client wrote them (RFC 5321 §4.1.2) with the parameters that the gateway carries on: SIZE (RFC 1870), BODY
// (RFC 6152), SMTPUTF8 (RFC 6531) and DSN (RFC 3461). Anything else is refused: a promise that nobody downstream keeps.

import { type EnvelopeRecipient, fail, isAddress, type NotifyWhen } from '@sealpost/core';

export interface Sender {
  /** The empty string for the null sender. */
  readonly address: string;
  /** Declared size in bytes. */
  readonly size?: number;
  readonly eightBit: boolean;
  readonly smtpUtf8: boolean;
  readonly ret?: 'FULL' | 'HDRS';
  readonly envid?: string;
}

/** RFC 3461 §4.4: ENVID is at most 100 characters. */
const maxEnvid = 100;
/** RFC 3461 §4.2: ORCPT is at most 500 characters. */
const maxOrcpt = 500;
/** `MAIL FROM:<path>` with the source route of RFC 5321 appendix C left out, then the parameters. */
const command = /^[a-z ]+:\s*<(?:@[^\s:<>]*:)?([^<>\s]*)>(?:\s+(.*))?$/isu;
/** RFC 3461 §4: printable characters but `+` and `=`, which are written in hex. */
const xtext = /^(?:[!-*,-<>-~]|\+[0-9A-F]{2})+$/;
/** RFC 6533 §3: with SMTPUTF8 an address of type utf-8 may hold the characters themselves. */
const unicodeText = /^utf-8;(?:[!-*,-<>-~]|[^\p{Cc}\p{ASCII}])+$/iu;
const addressType = /^[A-Za-z0-9-]{1,64};/;
const notifyWords = ['NEVER', 'SUCCESS', 'FAILURE', 'DELAY'] as const satisfies readonly NotifyWhen[];

/** Errors: `sender-malformed`, `parameter-unsupported`. */
export function readSender(line: string): Sender {
  const { path, parameters } = split(line);
  const smtpUtf8 = parameters.get('SMTPUTF8') === '';
  if (path === undefined || (path !== '' && !isPath(path, smtpUtf8))) throw fail('sender-malformed');
  only(parameters, ['SIZE', 'BODY', 'SMTPUTF8', 'RET', 'ENVID']);
  const size = parameters.get('SIZE');
  const body = parameters.get('BODY')?.toUpperCase();
  const ret = parameters.get('RET')?.toUpperCase();
  const envid = parameters.get('ENVID');
  demand(size === undefined || /^\d{1,20}$/.test(size));
  demand(body === undefined || body === '7BIT' || body === '8BITMIME');
  demand(ret === undefined || ret === 'FULL' || ret === 'HDRS');
  demand(envid === undefined || (envid.length <= maxEnvid && xtext.test(envid)));
  return {
    address: path,
    eightBit: body === '8BITMIME',
    smtpUtf8,
    ...(size === undefined ? {} : { size: Number(size) }),
    ...(ret === 'FULL' || ret === 'HDRS' ? { ret } : {}),
    ...(envid === undefined ? {} : { envid }),
  };
}

/**
 * `smtpUtf8` as the transaction's MAIL declared it. The address is as given but for the bare `postmaster` that RFC 5321 §4.1.1.3
 * lets everybody write, which becomes the one at `postmasterDomain`. Errors: `recipient-malformed`, `parameter-unsupported`.
 */
export function readRecipient(line: string, smtpUtf8: boolean, postmasterDomain?: string): EnvelopeRecipient {
  const { path, parameters } = split(line);
  const isPostmaster = path?.toLowerCase() === 'postmaster' && postmasterDomain !== undefined;
  const address = isPostmaster ? `${path}@${postmasterDomain}` : path;
  if (address === undefined || !isPath(address, smtpUtf8)) throw fail('recipient-malformed');
  only(parameters, ['NOTIFY', 'ORCPT']);
  const orcpt = parameters.get('ORCPT');
  if (orcpt !== undefined) demand(isOrcpt(orcpt, smtpUtf8));
  const notify = readNotify(parameters.get('NOTIFY'));
  return { address, ...(notify ? { notify } : {}), ...(orcpt === undefined ? {} : { orcpt }) };
}

function split(line: string): { path: string | undefined; parameters: ReadonlyMap<string, string> } {
  const match = command.exec(line.trim());
  const parameters = new Map<string, string>();
  for (const word of (match?.[2] ?? '').split(/\s+/).filter(Boolean)) {
    const at = word.indexOf('=');
    const key = (at < 0 ? word : word.slice(0, at)).toUpperCase();
    demand(!parameters.has(key));
    parameters.set(key, at < 0 ? '' : word.slice(at + 1));
  }
  return { path: match?.[1], parameters };
}

/** U+FFFD stands for bytes that were not UTF-8. */
function isPath(path: string, smtpUtf8: boolean): boolean {
  return isAddress(path) && (/^[\x21-\x7e]+$/.test(path) || (smtpUtf8 && !path.includes('\ufffd')));
}

function readNotify(value: string | undefined): NotifyWhen[] | undefined {
  if (value === undefined) return undefined;
  const words = value.toUpperCase().split(',');
  const known = notifyWords.filter((word) => words.includes(word));
  demand(known.length === words.length && (known.length === 1 || !known.includes('NEVER')));
  return known;
}

function isOrcpt(value: string, smtpUtf8: boolean): boolean {
  const type = addressType.exec(value)?.[0];
  if (!type || value.length > maxOrcpt) return false;
  return xtext.test(value.slice(type.length)) || (smtpUtf8 && unicodeText.test(value));
}

function only(parameters: ReadonlyMap<string, string>, allowed: readonly string[]): void {
  for (const key of parameters.keys()) demand(allowed.includes(key));
}

function demand(holds: boolean): void {
  if (!holds) throw fail('parameter-unsupported');
}
