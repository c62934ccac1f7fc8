// The trace field that ingress puts on top of every message (RFC 5321 §4.4; protocol words of RFC 3848 and RFC 6531 §3.7.3).

import { type MessageId, mailDate } from '@sealpost/core';

export interface ReceivedFacts {
  /** What the client called itself; written by the client. */
  readonly helo: string;
  readonly clientAddress: string;
  /** Our own host name. */
  readonly by: string;
  readonly extended: boolean;
  readonly smtpUtf8: boolean;
  /** TLS version and cipher, where there is TLS. */
  readonly tls?: { readonly version: string; readonly cipher: string };
  readonly id: MessageId;
  readonly now: Date;
}

/** The field with its CRLF. No `for` clause: it would show a Bcc recipient to the others. */
export function receivedField(facts: ReceivedFacts): Buffer {
  const { helo, clientAddress, by, tls, id, now } = facts;
  const literal = clientAddress.includes(':') ? `IPv6:${clientAddress}` : clientAddress;
  const lines = [
    `Received: from ${helo.replace(/[^A-Za-z0-9.:[\]_-]/g, '?')} ([${literal}])`,
    `\tby ${by} with ${protocol(facts)} id ${id}${tls ? `\r\n\t(${tls.version} ${tls.cipher})` : ''};`,
    `\t${mailDate(now)}`,
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n`, 'latin1');
}

function protocol({ extended, smtpUtf8, tls }: ReceivedFacts): string {
  const secure = tls ? 'S' : '';
  if (smtpUtf8) return `UTF8SMTP${secure}`;
  return extended ? `ESMTP${secure}` : 'SMTP';
}
