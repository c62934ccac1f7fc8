// The HTTP server of each process: /live (restart me if not), /ready (send me work), /metrics (Prometheus). It says yes or no
// and shows numbers; nothing of mail.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { within } from './within.ts';

/** A check that asks a hanging dependency is a no. Probes of Kubernetes give up after 1 s by default. */
const checkTimeoutMs = 900;
/** Idle connections of scrapers must not hold up the end of the process. */
const requestTimeoutMs = 10_000;

export interface HealthChecks {
  isLive(): Promise<boolean> | boolean;
  isReady(): Promise<boolean> | boolean;
  readonly answerScrape: (request: IncomingMessage, response: ServerResponse) => void;
}

export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Listens; throws the system's error when it cannot. */
export async function startHealth(
  address: { readonly host: string; readonly port: number },
  checks: HealthChecks,
): Promise<HealthServer> {
  const server = createServer({ requestTimeout: requestTimeoutMs, maxHeaderSize: 8_192 }, (request, response) => {
    void answer(request, response, checks);
  });
  server.on('clientError', (_, socket) => socket.destroy());
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host: address.host, port: address.port }, resolve);
  await promise;
  server.removeListener('error', reject);
  server.on('error', () => undefined);
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.closeAllConnections();
      await server[Symbol.asyncDispose]();
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, checks: HealthChecks): Promise<void> {
  request.resume();
  response.setHeader('connection', 'close');
  if (request.method !== 'GET' && request.method !== 'HEAD') return say(response, 405, { error: 'method' });
  switch (request.url) {
    case '/live':
      return verdict(response, 'live', await holds(() => checks.isLive()));
    case '/ready':
      return verdict(response, 'ready', await holds(() => checks.isReady()));
    case '/metrics':
      return checks.answerScrape(request, response);
    default:
      return say(response, 404, { error: 'path' });
  }
}

async function holds(check: () => Promise<boolean> | boolean): Promise<boolean> {
  return within(checkTimeoutMs, async () => check()).catch(() => false);
}

function verdict(response: ServerResponse, question: 'live' | 'ready', yes: boolean): void {
  say(response, yes ? 200 : 503, { [question]: yes });
}

function say(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
}
