// Bounds of the CMS layer on hostile input. Real messages stay far below each of them.

/** Indefinite lengths inside each other, and constructed strings inside strings. */
export const MAX_BER_DEPTH = 64;

/** Chunks of one constructed string: 50 MB in chunks of 1 KB, as old gpgsm writes, is 51,200. */
export const MAX_STRING_CHUNKS = 200_000;

/** Recipients of one message; a list server may have thousands. */
export const MAX_RECIPIENTS = 10_000;

/** Recipient infos of one message tried with one key set: each may cost a private key operation. */
export const MAX_RECIPIENT_TRIES = 8;

/** Signers of one SignedData: each costs a signature and a path check. */
export const MAX_SIGNERS = 16;

/** Digest algorithms announced in one SignedData. */
export const MAX_DIGESTS = 32;

/** Certificates and CRLs carried in one object. */
export const MAX_CERTIFICATES = 200;

/** Attributes of one signer, and the octets of one set of them. */
export const MAX_ATTRIBUTES = 64;
export const MAX_ATTRIBUTES_BYTES = 256 * 1024;

/** S/MIME objects inside each other; RFC 2634 needs three. */
export const MAX_LAYERS = 8;

/** Octets a compressed object may expand to, absolutely and per octet of input (RFC 3274; a zip bomb reaches 1000). */
export const MAX_EXPANDED_BYTES = 128 * 1024 * 1024;
export const MAX_EXPANSION = 200;

/** Iterations of PBKDF2 in a password recipient: some 0.5 s. */
export const MAX_ITERATIONS = 1_000_000;
