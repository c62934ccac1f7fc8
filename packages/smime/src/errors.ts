// The engine's closed list of failures. Messages are constants: no address, subject or library text goes in.

/** Code → sentence. A union of the keys is the type; docs and callers map codes, never sentences. */
const SENTENCES = {
  'malformed-der': 'not well-formed DER',
  'malformed-certificate': 'not a well-formed X.509 certificate',
  'malformed-crl': 'not a well-formed certificate revocation list',
  'malformed-ocsp': 'not a well-formed OCSP response',
  'malformed-pkcs12': 'not a well-formed PKCS#12 file',
  'wrong-password': 'the password does not open this file',
  'key-mismatch': 'the private key does not belong to the certificate',
  'malformed-cms': 'not a well-formed CMS object',
  'content-missing': 'a detached signature without its content',
  'malformed-mime': 'not a MIME structure that S/MIME allows',
  undecryptable: 'could not be decrypted',
  'no-key': 'no private key for the certificate',
  'no-recipient': 'nobody to encrypt to',
  'unsupported-algorithm': 'an algorithm that this engine does not do',
  'limit-exceeded': 'a size or count beyond the fixed limit',
} as const;

export type SmimeErrorCode = keyof typeof SENTENCES;

/** The only error that the engine throws on bad input. */
export class SmimeError extends Error {
  readonly code: SmimeErrorCode;

  constructor(code: SmimeErrorCode) {
    super(SENTENCES[code]);
    this.name = 'SmimeError';
    this.code = code;
  }
}
