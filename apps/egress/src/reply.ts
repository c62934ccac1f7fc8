// What a next hop said: the reply code (RFC 5321 §4.2) and its enhanced status (RFC 2034, RFC 3463). The words are dropped here;
// nothing of the upstream's text goes into logs, jobs or reports.

/** A well-formed final reply, code 200 to 599. */
export interface Reply {
  readonly code: number;
  /** Enhanced status of the same class as the code, `5.1.1`; `x.0.0` where the reply gave none. */
  readonly status: string;
}

export type Verdict = 'accepted' | 'deferred' | 'refused';

/** Reads a reply; undefined for anything that is not a code of class 2, 4 or 5 followed by a space, a dash or the end. */
export function readReply(text: string): Reply | undefined {
  const match = /^([245]\d\d)(?:[ -](?:([245]\.\d{1,3}\.\d{1,3})(?=[ \r\n]|$))?|[\r\n]|$)/.exec(text);
  if (!match?.[1]) return undefined;
  const [, code, enhanced] = match;
  const kind = code.charAt(0);
  return { code: Number(code), status: enhanced?.startsWith(kind) ? enhanced : `${kind}.0.0` };
}

/** What a reply to RCPT, DATA or the message means; no reply or nonsense is never final. */
export function verdictOf(reply: Reply | undefined): Verdict {
  if (!reply || reply.code < 200) return 'deferred';
  if (reply.code < 300) return 'accepted';
  // 503 says that the session went wrong, not the mail.
  return reply.code < 500 || reply.code === 503 ? 'deferred' : 'refused';
}

/** RFC 5321 §4.5.3.1.10: an old server says 552 where it means 452, too many recipients. */
export function recipientVerdict(reply: Reply | undefined): Verdict {
  return reply?.code === 552 && reply.status === '5.0.0' ? 'deferred' : verdictOf(reply);
}
