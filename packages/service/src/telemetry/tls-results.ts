// How a TLS handshake ended, in few words that can be a metric's label: the version, or why there is none.

/** What Sealpost speaks (RFC 9325 §3.1.1). */
export const tlsVersions = ['TLSv1.3', 'TLSv1.2'] as const;
/**
 * `certificate`: one side does not believe the other's, or none was shown; `protocol`: no common version or cipher, or no TLS at all;
 * `cut`: the connection ended or time was over.
 */
export const tlsFailures = ['certificate', 'protocol', 'cut'] as const;

export type TlsVersion = (typeof tlsVersions)[number];
export type TlsFailure = (typeof tlsFailures)[number];

/** Codes of X.509 verification and of OpenSSL's certificate alerts. */
const certificateCodes = /CERT|_CA$|UNABLE_TO_VERIFY|HOSTNAME_MISMATCH|PATH_LENGTH|INVALID_PURPOSE|CRL/;

/** The version of a session; no other than the two can come about. */
export function tlsVersion(socket: { getProtocol(): string | null }): TlsVersion {
  return socket.getProtocol() === 'TLSv1.2' ? 'TLSv1.2' : 'TLSv1.3';
}

/** Why a handshake failed, by the code of Node's or OpenSSL's error. */
export function tlsFailure(code: unknown): TlsFailure {
  if (typeof code !== 'string') return 'cut';
  if (certificateCodes.test(code)) return 'certificate';
  return code.startsWith('ERR_SSL_') ? 'protocol' : 'cut';
}
