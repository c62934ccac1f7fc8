// An error whose text is meant for the person at the terminal: it tells what happened, to what, and what to do next.

export class UsageError extends Error {
  override readonly name = 'UsageError';
}
