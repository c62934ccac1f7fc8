// What an examination of an installation says of one thing.

type Severity = 'ok' | 'warning' | 'failed';

export interface Finding {
  readonly severity: Severity;
  /** What was looked at: `redis`, `egress.routes[0]`. */
  readonly what: string;
  /** What is so. */
  readonly text: string;
  /** What to do, for everything that is not `ok`. */
  readonly remedy?: string;
}

export const ok = (what: string, text: string): Finding => ({ severity: 'ok', what, text });
export const warning = (what: string, text: string, remedy: string): Finding => ({
  severity: 'warning',
  what,
  text,
  remedy,
});
export const failed = (what: string, text: string, remedy: string): Finding => ({
  severity: 'failed',
  what,
  text,
  remedy,
});

/** The words of whatever was thrown, for an operator who asked for them. */
export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
