// What Redis and its client throw, in the words of the error table. Their texts can hold arguments of commands, so they stay
// behind as `cause` in this process.

import { fail, SealpostError } from '@sealpost/core';

/** `queue-full` when the server is out of memory, else `queue-unavailable`; errors of the table pass unchanged. */
export function toQueueError(error: unknown): SealpostError {
  if (error instanceof SealpostError) return error;
  const outOfMemory = error instanceof Error && error.message.startsWith('OOM ');
  return fail(outOfMemory ? 'queue-full' : 'queue-unavailable', error);
}

/** Runs `work`; whatever it throws is an error of the table. */
export async function asQueueError<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toQueueError(error);
  }
}
