// smtp-server's session, with four things that it has no option for: how long a client waits for the greeting, replies that bring
// their own enhanced status, the command line as the client wrote it, and a way to end a session from outside.

import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { type ErrorCode, errors } from '@sealpost/core';
import { SMTPServer, type SMTPServerAddress, type SMTPServerOptions, type SMTPServerSession } from 'smtp-server';
import { SMTPConnection, type SMTPConnectionOptions } from 'smtp-server/lib/smtp-connection.js';
import { replyText } from './reply.ts';

/** A reply text that begins with an enhanced status code of its own (RFC 2034 §4). */
const ownStatus = /^[245]\.\d{1,3}\.\d{1,3} /;

const connections = new WeakMap<SMTPServerSession, GatewayConnection>();
const commands = new WeakMap<SMTPServerAddress, string>();

/** How long a client at this address waits for the greeting, in milliseconds. */
export type Knock = (address: string) => number;

export class GatewayServer extends SMTPServer {
  readonly #knock: Knock;
  readonly #open = new Set<GatewayConnection>();

  constructor(options: SMTPServerOptions, knock: Knock) {
    super(options);
    this.#knock = knock;
    // A reset between accept and the session's own listener would otherwise end the process.
    this.server.on('connection', (socket: Socket) => socket.on('error', () => undefined));
  }

  override connect(socket: Socket | TLSSocket, options?: SMTPConnectionOptions | null): void {
    const connection = new GatewayConnection(this, socket, options, this.#knock);
    this.connections.add(connection);
    this.#open.add(connection);
    socket.once('close', () => this.#open.delete(connection));
    connection.on('error', (error: Error) => this._onError(error));
    connection.init();
  }

  /** Ends every socket without waiting for its client. */
  cut(): void {
    for (const connection of this.#open) connection.cut();
  }
}

export class GatewayConnection extends SMTPConnection {
  readonly #knock: Knock;

  constructor(
    server: SMTPServer,
    socket: Socket | TLSSocket,
    options: SMTPConnectionOptions | null | undefined,
    knock: Knock,
  ) {
    super(server, socket, options);
    this.#knock = knock;
    connections.set(this.session, this);
  }

  /** Who speaks before the greeting is a program that does not listen (RFC 5321 §4.3.1); smtp-server answers it 421. */
  override init(): void {
    this._setListeners(() => {
      const { maxClients = Number.POSITIVE_INFINITY } = this._server.options;
      if (this._server.connections.size > maxClients) return this.hangUp('too-many-sessions');
      const wait = this.#knock(this.remoteAddress);
      if (wait === 0) this.connectionReady();
      else setTimeout(() => this.connectionReady(), wait).unref();
    });
  }

  override send(code: number, data?: string | string[] | null, context?: string | false): void {
    super.send(code, data, typeof data === 'string' && ownStatus.test(data) ? false : context);
  }

  /** smtp-server decodes xtext and turns A-labels into Unicode; the envelope needs both as they were given. */
  override _parseAddressCommand(name: string, command: Buffer | string) {
    const parsed = super._parseAddressCommand(name, command);
    if (parsed) commands.set(parsed, command.toString());
    return parsed;
  }

  /** Says why and closes. A message in the middle of its DATA is lost to us and still the client's. */
  hangUp(code: ErrorCode): void {
    this.send(errors[code].smtp[0], replyText(code), false);
    this.close();
  }

  /** Node does not survive a socket that is taken away from under a TLS handshake; that one ends with its own timeout. */
  cut(): void {
    if (!this._upgrading) this._socket.destroy();
  }
}

export function connectionOf(session: SMTPServerSession): GatewayConnection | undefined {
  return connections.get(session);
}

/** The MAIL or RCPT command that gave this address, as the client wrote it. */
export function commandOf(address: SMTPServerAddress): string {
  return commands.get(address) ?? '';
}
