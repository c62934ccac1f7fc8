// A group that policy sends back: one report (RFC 3464) to the sender for all its recipients who want to hear of failures.

import { isAscii } from 'node:buffer';
import {
  composeDsn,
  type Direction,
  type EnvelopeRecipient,
  type ErrorCode,
  envelopeSalt,
  errors,
  type Group,
} from '@sealpost/core';
import { readHeaders } from '@sealpost/smime';
import type { Loaded } from './load.ts';
import type { Outgoing } from './outgoing.ts';
import type { Worker } from './worker.ts';

/** The report as mail to send, or undefined where nobody wants one. `code` is of the table and says why. */
export function bounce(worker: Worker, loaded: Loaded, group: Group, code: ErrorCode): Outgoing | undefined {
  const { envelope, ticket } = loaded;
  const recipients = group.recipients.flatMap((at) => envelope.recipients[at] ?? []).filter(wantsFailures);
  if (envelope.mailFrom === '' || recipients.length === 0) return undefined;
  const id = bounceId(group);
  const { text, smtp } = errors[code];
  const message = composeDsn({
    reportingMta: worker.installation,
    from: `postmaster@${worker.installation}`,
    to: envelope.mailFrom,
    recipients: recipients.map((recipient) => ({ recipient, action: 'failed', status: smtp[1], text })),
    ...(envelope.envid === undefined ? {} : { envid: envelope.envid }),
    arrivedAt: ticket.acceptedAt,
    now: worker.clock.now(),
    messageId: `${ticket.id}.${id}@${worker.installation}`,
    originalHeaders: headerSection(loaded.message),
  });
  return {
    id,
    direction: opposite(ticket.direction),
    source: 'gateway',
    envelope: {
      mailFrom: '',
      headerFrom: '',
      recipients: [{ address: envelope.mailFrom, notify: ['NEVER'] }],
      eightBit: !isAscii(message),
      smtpUtf8: !isAscii(Buffer.from(envelope.mailFrom)),
      salt: envelopeSalt(),
    },
    message,
  };
}

/** Names the delivery of a group's report within its message. */
export function bounceId(group: Group): string {
  return `${group.id}b`;
}

/** RFC 3461 §4.1: without NOTIFY a sender hears of failures. */
function wantsFailures({ notify }: EnvelopeRecipient): boolean {
  return notify === undefined || notify.includes('FAILURE');
}

function opposite(direction: Direction): Direction {
  return direction === 'outbound' ? 'inbound' : 'outbound';
}

/** The fields above the body, each line as it came. */
function headerSection(message: Buffer): Buffer {
  return Buffer.concat(readHeaders(message).map(({ raw }) => raw));
}
