// Keys that stay in a PKCS#11 token (PKCS #11 v2.40): what may be asked of it. The vendor's module runs in a process of its own
// (module-process.ts): a module that crashes, hangs or leaks takes that process down and not the one that holds the root key.

export type HsmHash = 'sha1' | 'sha256' | 'sha384' | 'sha512';

/** Which key is meant: by CKA_LABEL, by CKA_ID in hex, or by both. One key must answer to it. */
export interface HsmKeyName {
  readonly label?: string;
  readonly id?: string;
}

export interface HsmKey {
  readonly label: string;
  /** CKA_ID, lower-case hex. */
  readonly id: string;
  readonly type: 'rsa' | 'ec' | 'aes';
  /** DER SubjectPublicKeyInfo (RFC 5280 §4.1); not for AES. */
  readonly publicKey?: Buffer;
  /** CKA_EXTRACTABLE: the token would give it out to whoever has the PIN. */
  readonly extractable: boolean;
}

export type HsmSignScheme =
  | { readonly kind: 'rsa-pkcs1'; readonly hash: HsmHash }
  | { readonly kind: 'rsa-pss'; readonly hash: HsmHash; readonly saltLength: number }
  | { readonly kind: 'ecdsa'; readonly hash: HsmHash };

export type HsmCipher =
  /** RSAES-PKCS1-v1_5 (RFC 8017 §7.2). */
  | { readonly kind: 'rsa-pkcs1' }
  /** RSAES-OAEP (RFC 8017 §7.1). Tokens differ in which hashes they do. */
  | { readonly kind: 'rsa-oaep'; readonly hash: HsmHash; readonly mgfHash: HsmHash; readonly label?: Buffer }
  /** AES-CBC over whole blocks, no padding and no integrity: for what is checked afterwards by other means. */
  | { readonly kind: 'aes-cbc'; readonly iv: Buffer };

/**
 * Faults (KeyFault): `hsm-unavailable` when the token does not answer in time, `hsm-pin-wrong` once it refused the PIN, `hsm-key-missing` when no key or more than one has
 * the name, `hsm-refused` when the token will not do this with this key.
 */
export interface Hsm {
  find(name: HsmKeyName): Promise<HsmKey>;
  /** Signs a whole message; ECDSA as DER (RFC 3279 §2.2.3). */
  sign(name: HsmKeyName, scheme: HsmSignScheme, message: Buffer): Promise<Buffer>;
  /**
   * What the token makes of a ciphertext, or undefined when it finds nothing in it, whatever the cause. The caller must not let
   * anybody see the difference (for v1.5: go on with a key made from a secret and the ciphertext).
   */
  decrypt(name: HsmKeyName, cipher: HsmCipher, ciphertext: Buffer): Promise<Buffer | undefined>;
  /** With an AES key of the token. */
  encrypt(name: HsmKeyName, cipher: HsmCipher & { kind: 'aes-cbc' }, plain: Buffer): Promise<Buffer>;
  /** ECDH (SEC 1 §3.3.1): the shared x coordinate with a public point (uncompressed); undefined when the token refuses the point. */
  derive(name: HsmKeyName, publicPoint: Buffer): Promise<Buffer | undefined>;
  close(): Promise<void>;
}

/** What travels to the module's process, with its number. */
export type HsmRequest =
  | { readonly do: 'find'; readonly name: HsmKeyName }
  | { readonly do: 'sign'; readonly name: HsmKeyName; readonly scheme: HsmSignScheme; readonly message: Buffer }
  | { readonly do: 'decrypt'; readonly name: HsmKeyName; readonly cipher: HsmCipher; readonly ciphertext: Buffer }
  | { readonly do: 'encrypt'; readonly name: HsmKeyName; readonly cipher: HsmCipher; readonly plain: Buffer }
  | { readonly do: 'derive'; readonly name: HsmKeyName; readonly publicPoint: Buffer };

export type HsmFaultCode = 'hsm-unavailable' | 'hsm-key-missing' | 'hsm-refused';

/** `ready` comes first and once: the token is open. */
export type HsmAnswer =
  | { readonly ready: true }
  | { readonly ready: false; readonly reason: string; readonly pinWrong: boolean }
  | { readonly number: number; readonly value: Buffer | HsmKey | undefined }
  | { readonly number: number; readonly fault: HsmFaultCode };

/** Where the token is, and how to open it. */
export interface HsmPlace {
  /** The vendor's shared library. */
  readonly module: string;
  /** CKA label of the token. */
  readonly token: string;
  /** Holds the user PIN. */
  readonly pinFile: string;
}
