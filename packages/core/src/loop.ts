// Our own loop marker: a header field with an HMAC over tenant, direction and the mail's Message-ID. Only mail that this gateway
// sent in the same direction carries a valid one, so nobody can make us refuse mail by copying the field to another message.

import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Direction, TenantId } from './ids.ts';

/** Field name of the marker. */
export const loopField = 'X-Sealpost-Loop';

interface Marked {
  readonly tenant: TenantId;
  readonly direction: Direction;
  /** Value of the Message-ID field; the empty string where the mail has none. */
  readonly messageIdField: string;
}

/** The marker's value, `v1; <hex>`. */
export function loopMarker(marked: Marked, key: Buffer): string {
  return `v1; ${mac(marked, key).toString('hex')}`;
}

/** Whether one of our keys made this value for this mail. */
export function isOwnMarker(value: string, marked: Marked, keys: readonly Buffer[]): boolean {
  const hex = /^v1; ([0-9a-f]{64})$/.exec(value.trim())?.[1];
  if (!hex) return false;
  const given = Buffer.from(hex, 'hex');
  return keys.some((key) => timingSafeEqual(given, mac(marked, key)));
}

function mac(marked: Marked, key: Buffer): Buffer {
  return createHmac('sha256', key)
    .update(['sealpost loop', marked.tenant, marked.direction, marked.messageIdField.trim()].join('\0'))
    .digest();
}
