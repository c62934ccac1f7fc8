// What the X.509 room offers to the engine and, through it, to users of the library.
export {
  Certificate,
  certificateFromDer,
  type Extension,
  importPublicKey,
  KEY_USAGES,
  type KeyUsage,
  MAX_CERTIFICATE_BYTES,
} from './certificate.ts';
export { decodeArmour, parseCertificate, parseCertificates } from './encoded.ts';
export type { GeneralName } from './general-name.ts';
export type { KeyAlgorithm, KeyType } from './key-algorithm.ts';
export { addressesMatch } from './address.ts';
export { type CertificateProfile, issueCertificate, type IssueRequest, TICKET_SIGNING } from './issue.ts';
