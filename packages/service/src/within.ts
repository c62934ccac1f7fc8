// A deadline for work that may never end.

/** The deadline passed before the work was done. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
}

/** What `work` resolves to, or a DeadlineError after `ms`. The work itself goes on. */
export async function within<T>(ms: number, work: () => Promise<T>): Promise<T> {
  const deadline = Promise.withResolvers<never>();
  const timer = setTimeout(() => deadline.reject(new DeadlineError('The deadline passed')), ms);
  try {
    return await Promise.race([work(), deadline.promise]);
  } finally {
    clearTimeout(timer);
  }
}
