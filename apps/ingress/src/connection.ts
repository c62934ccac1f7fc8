// smtp-server's session, with five things that it has no option for: how long a client waits for the greeting, replies that bring
// their own enhanced status, the command line as the client wrote it, a way to end a session from outside, and word of a failed STARTTLS.

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

/** What a listener has to say to its connections, and to hear of them. */
export interface Manners {
  /** How long a client at this address waits for the greeting, in milliseconds. */
  knock(address: string): number;
  /** A TLS handshake failed, with the code of its error where it has one. */
  onTlsFailure(code: unknown): void;
}

export class GatewayServer extends SMTPServer {
  readonly #manners: Manners;
  readonly #open = new Set<GatewayConnection>();

  constructor(options: SMTPServerOptions, manners: Manners) {
    super(options);
    this.#manners = manners;
    // A reset between accept and the session's own listener would otherwise end the process.
    this.server.on('connection', (socket: Socket) => socket.on('error', () => undefined));
  }

  override connect(socket: Socket | TLSSocket, options?: SMTPConnectionOptions | null): void {
    const connection = new GatewayConnection(this, socket, options, this.#manners);
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
  readonly #manners: Manners;
  #tlsFailed = false;

  constructor(
    server: SMTPServer,
    socket: Socket | TLSSocket,
    options: SMTPConnectionOptions | null | undefined,
    manners: Manners,
  ) {
    super(server, socket, options);
    this.#manners = manners;
    connections.set(this.session, this);
  }

  /** Who speaks before the greeting is a program that does not listen (RFC 5321 §4.3.1); smtp-server answers it 421. */
  override init(): void {
    this._setListeners(() => {
      const { maxClients = Number.POSITIVE_INFINITY } = this._server.options;
      if (this._server.connections.size > maxClients) return this.hangUp('too-many-sessions');
      const wait = this.#manners.knock(this.remoteAddress);
      if (wait === 0) this.connectionReady();
      else setTimeout(() => this.connectionReady(), wait).unref();
    });
  }

  override send(code: number, data?: string | string[] | null, context?: string | false): void {
    super.send(code, data, typeof data === 'string' && ownStatus.test(data) ? false : context);
  }

  /** smtp-server keeps resets of the client to itself, and a handshake that ends without an error is only seen by its end. */
  override _onError(error: Error): void {
    this.#noteTlsFailure('code' in error ? error.code : undefined);
    super._onError(error);
  }

  override _onClose(): void {
    this.#noteTlsFailure(undefined);
    super._onClose();
  }

  #noteTlsFailure(code: unknown): void {
    if (!this._upgrading || this.#tlsFailed) return;
    this.#tlsFailed = true;
    this.#manners.onTlsFailure(code);
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
