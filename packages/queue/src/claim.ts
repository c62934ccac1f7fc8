// Whether a job is still this process's. Its lock was set or renewed for `lockMs` at a time that is known, and nobody else takes a job
// before its lock ran out: for a tenth of that the answer is known without asking the server, which most jobs need no more of.

/** By two clocks: the one may be put back, the other stands still while a machine sleeps. */
interface Moment {
  readonly wall: number;
  readonly steady: number;
}

const share = 0.1;
const now = (): Moment => ({ wall: Date.now(), steady: performance.now() });

/** `fetchedAt`: when the server was asked for the job, in milliseconds since 1970. `renew`: renews the lock if it is still ours. */
export function claimOf(fetchedAt: number, lockMs: number, renew: () => Promise<boolean>): () => Promise<boolean> {
  let lockedAt: Moment = { wall: fetchedAt, steady: performance.now() };
  const isSure = ({ wall, steady }: Moment): boolean =>
    Math.abs(wall - lockedAt.wall) < lockMs * share && steady - lockedAt.steady < lockMs * share;

  return async () => {
    const asked = now();
    if (isSure(asked)) return true;
    const held = await renew();
    if (held) lockedAt = asked;
    return held;
  };
}
