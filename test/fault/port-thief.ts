// Keeps a server that is started again and again away: takes its port as soon as it is dead and drops whoever connects.

import { once } from 'node:events';
import { createServer } from 'node:net';

/** The server may be back before us; then it has to die once more. */
const tries = 50;

/** Resolves, once the port is ours, to what gives it back. */
export async function takePort(port: number, killServer: () => Promise<void>): Promise<() => Promise<void>> {
  for (let attempt = 0; attempt < tries; attempt++) {
    await killServer();
    const thief = createServer((socket) => socket.destroy());
    thief.listen(port, '127.0.0.1');
    try {
      await once(thief, 'listening');
      return async () => {
        await thief[Symbol.asyncDispose]();
      };
    } catch {
      // It was faster.
    }
  }
  throw new Error(`port ${port} could not be taken`);
}
