// Flags of Node that the processes of this installation are started with.

/**
 * A young generation of 4 MB from the start. Opening 1 MB makes 2.5 MB of strings that are garbage at once: in V8's first
 * 1 MB they cost several collections a message, and V8 lets it grow only for what survives, so it stays at that. With 16 MB
 * the peak for a message of 50 MB goes over 2.5 times its size.
 */
export const WORKER_NODE_FLAGS: readonly string[] = ['--min-semi-space-size=4'];
