// The S/MIME engine: protect and open messages, look at them, and handle the certificates and keys that this needs.
export { CIPHERS, type CipherName, type DigestName, type SignatureScheme } from './cms/algorithms.ts';
export type { KnownCapabilities } from './cms/capabilities.ts';
export { isObject } from './cms/content-info.ts';
export { type KeyPort, localKeys, type OpenKeyRequest, type SignKeyRequest } from './cms/key-port.ts';
export { openRecipientInfo } from './cms/open-recipient.ts';
export { openRecipientWith, type TokenKey } from './cms/open-with-token.ts';
export type { SharedSecrets } from './cms/shared-secrets.ts';
export { readSignRequest } from './cms/sign-request.ts';
export { type SignatureAlgorithm, signOctets } from './cms/signature.ts';
export type { SignerProblem } from './cms/verify.ts';
export { encryptObject } from './encrypt-object.ts';
export { SmimeError, type SmimeErrorCode } from './errors.ts';
export { type Inspection, inspect, type Protection } from './inspect.ts';
export type { TrustOptions } from './judge-signer.ts';
export { typeOf } from './mime/canonical.ts';
export { boundaryOf, type ParameterizedValue, parseParameterized } from './mime/content-type.ts';
export { type Entity, firstValue, type HeaderField, readEntity, readHeaders } from './mime/header.ts';
export { parseMailboxes } from './mime/mailbox.ts';
export { type Multipart, readMultipart } from './mime/multipart.ts';
export { decodeTransfer, encodeBase64, encodeQuotedPrintable } from './mime/transfer.ts';
export { type Opened, type OpenedObject, open, openObject } from './open.ts';
export type { OpenOptions } from './opening.ts';
export { type Pkcs12, readPkcs12 } from './pkcs12/read-pkcs12.ts';
export * from './pki/index.ts';
export { type EncryptOptions, type ProtectOptions, protect, type SignOptions } from './protect.ts';
export type {
  EncryptedForm,
  FromMatch,
  HeaderProtection,
  Layer,
  SignerVerdict,
  Verdict,
  VerdictProblem,
  Weakness,
} from './verdict.ts';
