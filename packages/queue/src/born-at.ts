// When a message was accepted, read from an id: every id of ours begins with that time (core/ids.ts), so ages need no extra key.

/** The time in a message id, a delivery id or a `plan-` id; undefined for any other text. */
export function bornAt(id: string): Date | undefined {
  const time = /^(?:plan-)?m([0-9a-f]{11})[0-9a-f]{20}(?:-[0-9a-z]{1,40})?$/.exec(id)?.[1];
  return time === undefined ? undefined : new Date(Number.parseInt(time, 16));
}
