// Bounds of the MIME layer. Each is far above real mail and far below what would cost memory or time.

/** Header block of one entity. Postfix allows 100 KB; ARC chains and long To lists stay below 1 MiB. */
export const MAX_HEADER_BYTES = 1024 * 1024;

/** Header fields of one entity. */
export const MAX_HEADER_FIELDS = 4096;

/** Parts of one multipart. */
export const MAX_PARTS = 2048;

/** Multiparts and messages inside each other. */
export const MAX_MIME_DEPTH = 32;

/** Entities looked at in one whole message. */
export const MAX_ENTITIES = 4096;

/** RFC 2046 §5.1.1 allows 70; some mailers write more. */
export const MAX_BOUNDARY_LENGTH = 256;

/** RFC 5322 §2.1.1, without the CRLF. */
export const MAX_LINE_LENGTH = 998;

/** Mailboxes read from one address field. */
export const MAX_MAILBOXES = 10_000;
