// Flags of Node that the processes of this installation are started with.

/**
 * A young generation of 16 MB from the start. Opening 1 MB makes 2.5 MB of strings that are garbage at once: in V8's first
 * 1 MB they cost several collections a message, and V8 lets it grow only for what survives, so it stays at that.
 */
export const WORKER_NODE_FLAGS: readonly string[] = ['--min-semi-space-size=16'];
