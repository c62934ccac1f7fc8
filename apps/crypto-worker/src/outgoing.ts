// Mail that the worker hands on, before it is sealed for the egress.

import { isAscii } from 'node:buffer';
import type { Direction, Envelope, Group } from '@sealpost/core';
import type { Loaded } from './load.ts';

export interface Outgoing {
  /** Names the delivery within its message; a group's id, or one made from it. */
  readonly id: string;
  readonly direction: Direction;
  /** As in the ticket: the configured source, `world`, or `gateway` for our own reports. */
  readonly source: string;
  readonly envelope: Envelope;
  readonly message: Buffer;
}

/** These bytes for a group's recipients. */
export function outgoing({ ticket, envelope }: Loaded, group: Group, message: Buffer): Outgoing {
  return {
    id: group.id,
    direction: ticket.direction,
    source: ticket.source,
    envelope: {
      ...envelope,
      recipients: group.recipients.flatMap((at) => envelope.recipients[at] ?? []),
      // Protected mail is 7bit whatever it was, decrypted mail may be 8bit: what counts is what goes out (RFC 6152).
      eightBit: !isAscii(message),
    },
    message,
  };
}
