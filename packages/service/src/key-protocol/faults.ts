// What the key service refuses with beside the pipeline's own codes.

/** What the key service says beside the pipeline's own codes: code → HTTP status and public sentence, both constants. */
export const keyFaults = {
  'request-malformed': [400, 'The request does not have the form that this operation asks for'],
  forbidden: [403, 'This credential may not do that'],
  'person-unknown': [403, 'This certificate is not the one that the store knows this person by'],
  'second-factor-needed': [403, 'Show a code of your second factor first: sealpost people present'],
  'second-factor-missing': [403, 'You have no second factor yet: sealpost people enrol'],
  'code-wrong': [403, 'The code is not the one of now, or it was used already'],
  'code-locked': [429, 'Too many wrong codes; wait an hour'],
  'approval-own': [403, 'Nobody approves a request of their own'],
  'approval-role': [403, 'The policy does not let this role approve it'],
  'approval-invalid': [403, 'The approval was not signed by your key over this request'],
  'passphrase-wrong': [403, 'The passphrase does not open the store'],
  'share-wrong': [403, 'This is no share of any slot of the store'],
  'not-found': [404, 'There is no such thing here'],
  'key-in-token': [409, 'The key is in a token; make its successor there and add it with its certificate'],
  'hsm-extractable': [422, 'The token would give this key out; make one that is not extractable'],
  exists: [409, 'This address has keys already'],
  'slot-exists': [409, 'There is a slot with this label already'],
  'slot-last': [409, 'The last slot cannot be removed'],
  'slot-leaves-one': [409, 'This leaves one slot, whose loss loses every key; say that this is meant'],
  'slots-full': [409, 'There are as many slots as a store has'],
  'key-state': [409, 'The key is in a state from which this step does not lead'],
  'key-needed': [409, 'Mail needs this key: it is the only active one of its use; rotate it first'],
  'key-in-use': [409, 'Mail may still be sealed to this key'],
  'key-retained': [409, 'Mail that was encrypted to this key has to stay readable for longer'],
  'recipient-unusable': [422, 'Nothing can be encrypted to this certificate'],
  'approvals-missing': [409, 'The request lacks approvals that the policy asks for'],
  'request-over': [409, 'The request was executed, refused or has expired'],
  'approved-already': [409, 'You have approved this request already'],
  'second-factor-exists': [409, 'You have a second factor; another one takes a request that others approve'],
  'person-exists': [409, 'The store knows a person by this name, or with this key'],
  'request-too-large': [413, 'The request is larger than this operation takes'],
  'address-not-ours': [422, 'The address belongs to no domain of the tenant'],
  'tenant-needed': [422, 'There are several tenants; name the one that is meant'],
  'key-cannot-sign': [422, 'A key of this kind cannot sign the request for its own certificate'],
  'import-unreadable': [422, 'The file is not a PKCS#12 or PEM file with usable certificates'],
  'import-password-wrong': [422, 'The password does not open the file'],
  'import-mismatch': [422, 'The private key, the certificate and the address do not belong together'],
  'public-key-unusable': [
    422,
    'This is no public key that a person may have: P-256, P-384, Ed25519, or RSA from 2048 bits',
  ],
  'policy-unusable': [
    422,
    'The policy names what does not exist, or would leave a production store without dual control',
  ],
  'last-approvers': [422, 'Too few people would be left to approve anything'],
  'trust-not-ca': [422, 'The file holds a certificate that is not one of a certification authority'],
  'backup-not-configured': [422, 'The configuration names no directory and no quorum key for backups'],
  'backup-recipient-unreadable': [422, 'The file of the quorum’s public key is missing or is none'],
  'backup-not-written': [503, 'The directory for backups cannot be written: look at its owner, its mode and its space'],
  'hsm-key-missing': [422, 'The token has no such key, or more than one'],
  'hsm-refused': [422, 'The token does not do this with this key'],
  'too-many-attempts': [429, 'Too many attempts; wait a minute'],
  'hsm-pin-wrong': [
    503,
    'The token refused the PIN, which is not tried again before a restart: tokens lock themselves',
  ],
  'hsm-unavailable': [503, 'The token does not answer; try again later'],
  'audit-tampered': [503, 'The audit log is not the one that this store wrote; the store stays sealed'],
  'store-tampered': [503, 'The store does not hold what it wrote last; it stays sealed'],
  'policy-missing': [503, 'The store has no policy; run `init` once'],
  'store-foreign': [503, 'The service CA on disk is not the one of the store; the store stays sealed'],
} as const satisfies Record<string, readonly [status: number, text: string]>;

export type KeyFaultCode = keyof typeof keyFaults;

/** An answer of the key service that is not of the pipeline's error table; operators see its sentence. */
export class KeyFault extends Error {
  override readonly name = 'KeyFault';
  readonly code: KeyFaultCode;

  constructor(code: KeyFaultCode) {
    super(keyFaults[code][1]);
    this.code = code;
  }
}

export function isKeyFaultCode(text: string): text is KeyFaultCode {
  return Object.hasOwn(keyFaults, text);
}
