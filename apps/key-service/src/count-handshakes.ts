// TLS handshakes with callers, as a metric: a stage whose certificate ended, or a stranger at the port, is seen here and nowhere else.

import type { Server, TLSSocket } from 'node:tls';
import { type Telemetry, tlsFailure, tlsVersion } from '@sealpost/service';

export function countHandshakes(server: Server, telemetry: Telemetry): void {
  const door = 'key-service';
  server.on('secureConnection', (socket) =>
    telemetry.count('sealpost_tls_handshakes_total', { door, result: tlsVersion(socket) }),
  );
  server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
    // Node ends a connection with a certificate that it does not believe as if it had been cut, and keeps the reason.
    const code = socket.authorizationError ?? ('code' in error ? error.code : undefined);
    telemetry.count('sealpost_tls_handshakes_total', { door, result: tlsFailure(String(code)) });
  });
}
