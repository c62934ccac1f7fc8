// What the X.509 room offers to the engine and, through it, to users of the library.
export { addressesMatch } from './address.ts';
export {
  type Certificate,
  certificateFromDer,
  type Extension,
  importPublicKey,
  KEY_USAGES,
  type KeyUsage,
  MAX_CERTIFICATE_BYTES,
} from './certificate.ts';
export { type PreparedRequest, prepareRequest } from './certification-request.ts';
export { type Crl, parseCrls } from './crl.ts';
export { decodeArmour, parseCertificate, parseCertificates } from './encoded.ts';
export type { GeneralName } from './general-name.ts';
export { type CertificateProfile, type IssueRequest, issueCertificate } from './issue.ts';
export type { KeyAlgorithm, KeyType } from './key-algorithm.ts';
export { type LintWarning, lintCertificate } from './lint.ts';
export { type OcspResponse, parseOcspResponse } from './ocsp.ts';
export {
  type PathFailure,
  type PathPurpose,
  type PathRequest,
  type PathResult,
  type PathWeakness,
  validatePath,
} from './path.ts';
export type { PolicyInputs } from './policy.ts';
export { type Fitness, isWeakKey, mayEncryptTo, mayVerifyWith, type UnfitReason } from './purpose.ts';
