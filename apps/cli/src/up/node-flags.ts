// Flags of Node that the processes of this installation are started with.

/**
 * Mail is held in Buffers, outside of V8's heap. Unless told otherwise V8 marks its whole heap whenever those have grown by a fixed
 * 64 MB, with mail of 77 KB every second: two fifths of a worker's time. With these they count like the heap itself, and may be four
 * times it.
 */
const MAIL_NODE_FLAGS: readonly string[] = [
  '--external-memory-accounted-in-global-limit',
  '--external-memory-max-growing-factor=4',
];

/**
 * A young generation of 4 MB from the start. Opening 1 MB makes 2.5 MB of strings that are garbage at once: in V8's first
 * 1 MB they cost several collections a message, and V8 lets it grow only for what survives, so it stays at that. With 16 MB
 * the peak for a message of 50 MB goes over 2.5 times its size.
 */
export const WORKER_NODE_FLAGS: readonly string[] = ['--min-semi-space-size=4', ...MAIL_NODE_FLAGS];

/** Where OpenSSL puts private keys: locked, guarded, never in a dump. 16 MiB passed 6,000 RSA-2048 keys; a worker keeps 4,096 at most. */
const WORKER_HEAP = '--secure-heap=16777216';

/** The key service stretches passphrases there too: Argon2id takes 64 MiB in one piece, and in a smaller heap no passphrase opens. */
const KEY_SERVICE_HEAP = '--secure-heap=134217728';

/** For a process by its role. */
export function nodeFlags(role: string): readonly string[] {
  if (role === 'crypto-worker') return [WORKER_HEAP, ...WORKER_NODE_FLAGS];
  return role === 'key-service' ? [KEY_SERVICE_HEAP] : MAIL_NODE_FLAGS;
}
