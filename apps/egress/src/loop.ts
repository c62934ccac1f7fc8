// Mail loops (RFC 5321 §6.3): too many hops, or our own marker of the same tenant and direction on the way out again. A marker that
// somebody else wrote or copied to another mail proves nothing and stops nothing.

import { type Direction, isOwnMarker, loopField, loopMarker, type TenantId } from '@sealpost/core';
import { fieldValues } from './header-section.ts';

/** RFC 5321 §6.3 wants at least 100. */
const maxReceived = 100;

interface Passing {
  readonly tenant: TenantId;
  readonly direction: Direction;
  /** Outer header section. */
  readonly headers: Buffer;
}

/** Whether this mail has been here before, or everywhere. `keys`: the tenant's marker keys, newest first. */
export function isLoop(mail: Passing, keys: readonly Buffer[]): boolean {
  if (fieldValues(mail.headers, 'Received').length > maxReceived) return true;
  return fieldValues(mail.headers, loopField).some((value) => isOwnMarker(value, markedBy(mail), keys));
}

/** The marker as a header field with its CRLF. */
export function markerField(mail: Passing, key: Buffer): Buffer {
  return Buffer.from(`${loopField}: ${loopMarker(markedBy(mail), key)}\r\n`);
}

function markedBy({ tenant, direction, headers }: Passing) {
  return { tenant, direction, messageIdField: fieldValues(headers, 'Message-ID')[0] ?? '' };
}
