// A TCP proxy on loopback that fails on demand: refuses, cuts, stalls, or cuts when certain bytes pass.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export type ProxyMode =
  /** Bytes pass. */
  | 'pass'
  /** New connections are reset. */
  | 'refuse'
  /** Connections stay open and nothing passes. */
  | 'stall';

export interface CutRule {
  readonly from: 'client' | 'server';
  /** The connection is reset when these bytes, sent together, come from that side. */
  readonly bytes: string;
  /** Whether the other side still gets them. */
  readonly deliver: boolean;
}

export interface FlakyProxy extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** Connections made so far. */
  readonly connections: number;
  /** From now on; `pass` after `stall` lets through what waited. */
  setMode(mode: ProxyMode): void;
  /** Resets every connection that is open. */
  cut(): void;
  /** Cuts the next connection that shows the bytes; once. */
  cutOnce(rule: CutRule): void;
  close(): Promise<void>;
}

export async function startFlakyProxy(target: { readonly host: string; readonly port: number }): Promise<FlakyProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let mode: ProxyMode = 'pass';
  let rule: CutRule | undefined;
  let connections = 0;

  function forward(from: Socket, to: Socket, side: CutRule['from']): void {
    from.on('data', (bytes) => {
      if (rule?.from !== side || !bytes.includes(rule.bytes)) return void to.write(bytes);
      const { deliver } = rule;
      rule = undefined;
      if (!deliver) return reset(from, to);
      to.write(bytes, () => reset(from, to));
    });
    from.on('end', () => to.end());
    from.on('error', () => to.destroy());
  }

  const server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
    connections++;
    client.on('error', () => undefined);
    if (mode === 'refuse') return void client.resetAndDestroy();
    const upstream = connect({ ...target, noDelay: true, allowHalfOpen: true });
    const pair = [client, upstream] as const;
    pairs.add(pair);
    for (const socket of pair) socket.once('close', () => pairs.delete(pair));
    forward(client, upstream, 'client');
    forward(upstream, client, 'server');
    if (mode === 'stall') for (const socket of pair) socket.pause();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  function cut(): void {
    for (const pair of pairs) reset(...pair);
  }
  async function close(): Promise<void> {
    cut();
    await server[Symbol.asyncDispose]();
  }
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    setMode(next) {
      mode = next;
      for (const socket of [...pairs].flat()) {
        if (mode === 'stall') socket.pause();
        else socket.resume();
      }
    },
    cut,
    cutOnce(next) {
      rule = next;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function reset(...sockets: readonly Socket[]): void {
  for (const socket of sockets) socket.resetAndDestroy();
}
