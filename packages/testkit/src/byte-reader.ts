// Reads a socket up to a marker, for line protocols spoken by hand.

import type { Socket } from 'node:net';

export interface ByteReader {
  /** The bytes up to and with the marker. Rejects when the connection ends before it came. */
  readUntil(marker: Buffer): Promise<Buffer>;
  /** Puts bytes before those not yet read. */
  unread(bytes: Buffer): void;
  /** Stops listening and returns what was not read. */
  release(): Buffer;
}

export function readBytes(socket: Socket): ByteReader {
  let held: Buffer[] = [];
  let ended = false;
  let wake: () => void = () => undefined;
  const onData = (bytes: Buffer) => {
    held.push(bytes);
    wake();
  };
  const onEnd = () => {
    ended = true;
    wake();
  };
  socket.on('data', onData);
  socket.once('end', onEnd);
  socket.once('close', onEnd);

  return {
    async readUntil(marker) {
      let seen = 0;
      let tail = Buffer.alloc(0);
      for (;;) {
        for (; seen < held.length; seen++) {
          // Only what is new is searched, with as much before it as a marker may reach back.
          const chunk = Buffer.concat([tail, held[seen] ?? Buffer.alloc(0)]);
          const at = chunk.indexOf(marker);
          if (at >= 0) return take(chunk.length - at - marker.length, seen);
          tail = chunk.subarray(Math.max(0, chunk.length - marker.length + 1));
        }
        if (ended) throw new Error('The connection ended');
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    unread(bytes) {
      held.unshift(bytes);
    },
    release() {
      socket.removeListener('data', onData);
      socket.removeListener('end', onEnd);
      socket.removeListener('close', onEnd);
      return Buffer.concat(held);
    },
  };

  /** Everything up to chunk `last`, but for its last `rest` bytes, which stay. */
  function take(rest: number, last: number): Buffer {
    const whole = Buffer.concat(held.slice(0, last + 1));
    const end = whole.length - rest;
    held = [...(rest > 0 ? [whole.subarray(end)] : []), ...held.slice(last + 1)];
    return whole.subarray(0, end);
  }
}
