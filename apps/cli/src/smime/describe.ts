// Verdicts and certificates as JSON shows them: names, fingerprints and addresses; never key material.

import type { Certificate, Layer, PathResult, SignerVerdict } from '@sealpost/smime';

interface CertificateFacts {
  readonly subject: string;
  /** SHA-256 of the DER, hex. */
  readonly fingerprint: string;
  readonly addresses: readonly string[];
}

function describeCertificate({ subject, fingerprint, addresses }: Certificate): CertificateFacts {
  return { subject, fingerprint, addresses };
}

/** A layer with `kind` and what is known of it; absent facts are left out. */
export function describeLayer(layer: Layer): { readonly kind: Layer['kind'] } & Record<string, unknown> {
  switch (layer.kind) {
    case 'signed':
      return { ...layer, signers: layer.signers.map(describeSigner) };
    case 'encrypted': {
      const { recipient, ...facts } = layer;
      return { ...facts, ...(recipient === undefined ? {} : { recipient: describeCertificate(recipient) }) };
    }
    case 'certs-only':
      return { kind: layer.kind, certificates: layer.certificates.map(describeCertificate) };
    default:
      return { ...layer };
  }
}

function describeSigner({ certificate, path, ...facts }: SignerVerdict): Record<string, unknown> {
  return {
    ...facts,
    ...(certificate === undefined ? {} : { certificate: describeCertificate(certificate) }),
    ...(path === undefined ? {} : { path: describePath(path) }),
  };
}

export function describePath(result: PathResult) {
  if (!result.ok) return { ok: false, path: [], failure: result.failure };
  return { ok: true, path: result.path.map(describeCertificate), weaknesses: result.weaknesses };
}
