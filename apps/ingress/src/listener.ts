// One SMTP listener on smtp-server: what it announces, what is switched off, and how its handlers reach the desk. STARTTLS (RFC
// 3207) with TLS 1.2 or newer; no AUTH, because sources are known by network and certificate; no CHUNKING or BINARYMIME.

import type { AddressInfo } from 'node:net';
import { SetupError } from '@sealpost/core';
import { type TlsIdentity, tlsFailure, within } from '@sealpost/service';
import type { SMTPServerOptions } from 'smtp-server';
import { GatewayServer } from './connection.ts';
import { refusal } from './reply.ts';
import { type Desk, noteRefusal, openDesk, type Reception } from './session.ts';

export interface ListenerSettings {
  readonly listen: { readonly host: string; readonly port: number };
  readonly tls: TlsIdentity | undefined;
  readonly maxSessions: number;
  readonly knockMs: number;
}

export interface Listener {
  readonly host: string;
  readonly port: number;
  readonly sessions: number;
  /** New clients hear 421, sessions end, a message whose final dot has come is answered; then the port is closed. */
  stop(deadlineMs: number): Promise<void>;
}

/** smtp-server has commands of sendmail's old jokes, and ones that let a client claim to be another. */
const disabledCommands = ['AUTH', 'XCLIENT', 'XFORWARD', 'WIZ', 'SHELL', 'KILL'];
/** A command line with DSN parameters is at most 1 KiB (RFC 3461 §5.4 adds 500 to RFC 5321's 512); longer ones are no commands. */
const maxCommandLength = 4 * 1024;
/** For the last replies to reach the clients before their sockets are closed. */
const flushMs = 200;

/** Errors: SetupError when the port cannot be had. */
export async function openListener(settings: ListenerSettings, reception: Reception): Promise<Listener> {
  const desk = openDesk(reception);
  const { door, telemetry } = reception;
  const server = new GatewayServer(options(settings, reception, desk), {
    knock: (address) => (door.knocks(address) ? settings.knockMs : 0),
    onTlsFailure: (code) =>
      telemetry.count('sealpost_tls_handshakes_total', { door: door.direction, result: tlsFailure(code) }),
  });
  const { host, port } = await listen(server, settings);
  // A client that goes away or fails its handshake is an event of its session, not of the process.
  server.on('error', () => undefined);

  return {
    host,
    port,
    get sessions() {
      return desk.sessions;
    },
    async stop(deadlineMs) {
      await atMost(deadlineMs - 2 * flushMs, desk.stop());
      const closed = new Promise<void>((resolve) => server.server.close(() => resolve()));
      await atMost(flushMs, closed);
      server.cut();
      await atMost(flushMs, closed);
    },
  };
}

function options(settings: ListenerSettings, reception: Reception, desk: Desk): SMTPServerOptions {
  const { startTls, door } = reception;
  const { direction } = door;
  const answer = <Text extends string | undefined>(
    work: Promise<Text>,
    callback: (error: Error | null, text?: Text) => void,
  ): void => {
    work.then(
      (text) => callback(null, text),
      (error: unknown) => {
        noteRefusal(error, direction, reception);
        callback(refusal(error));
      },
    );
  };

  return {
    ...settings.tls,
    name: reception.installation,
    heloResponse: '%s greets %s',
    size: reception.maxBytes,
    maxClients: settings.maxSessions,
    maxCommandLength,
    socketTimeout: reception.pace.idleMs,
    disabledCommands: startTls === 'off' ? [...disabledCommands, 'STARTTLS'] : disabledCommands,
    disableReverseLookup: true,
    hideENHANCEDSTATUSCODES: false,
    hideDSN: false,
    logger: false,
    // Sources are known by the certificate itself, so whoever issued it does not matter and nobody is turned away without one.
    requestCert: direction === 'outbound',
    rejectUnauthorized: false,
    onConnect: (session, callback) => answer(desk.arrive(session), callback),
    onSecure: (socket, session, callback) => answer(desk.secure(socket, session), callback),
    onMailFrom: (address, session, callback) => answer(desk.mail(address, session), callback),
    onRcptTo: (address, session, callback) => answer(desk.recipient(address, session), callback),
    onData: (stream, session, callback) => answer(desk.data(stream, session), callback),
    onClose: (session) => desk.leave(session),
  };
}

function listen(server: GatewayServer, { listen }: ListenerSettings): Promise<{ host: string; port: number }> {
  const { host, port } = listen;
  return new Promise((resolve, reject) => {
    server.once('error', (error: Error) =>
      reject(new SetupError(`The SMTP listener cannot have ${host} port ${port}`, { cause: error })),
    );
    server.listen(port, host, () => {
      const address = server.server.address() as AddressInfo;
      resolve({ host: address.address, port: address.port });
    });
  });
}

/** Waits for the work, but no longer. */
async function atMost(ms: number, work: Promise<void>): Promise<void> {
  await within(Math.max(0, ms), () => work).catch(() => undefined);
}
