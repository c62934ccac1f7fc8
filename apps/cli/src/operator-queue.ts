// The queue as an operator sees it: how the stages stand, and the quarantine.

import type { Log, Quarantine, StageStatus } from '@sealpost/core';
import {
  connectRedis,
  cryptoStage,
  deliveryStage,
  type Ledger,
  namedSpoolKeys,
  openBlobs,
  redisLedger,
  redisQuarantine,
  type SpoolKeys,
} from '@sealpost/queue';
import type { Installation } from '@sealpost/service';

/** A person waits at the terminal. */
const patienceMs = 5_000;
/** A command prints its result; what the connection has to say of itself is in the error. */
const silent: Log = { event: () => undefined };

export interface OperatorQueue {
  status(): Promise<readonly StageStatus[]>;
  readonly quarantine: Quarantine;
  /** Reads every piece of the spool. */
  spoolKeys(now: Date): Promise<SpoolKeys>;
  readonly ledger: Ledger;
  close(): Promise<void>;
}

/** Errors: `queue-unavailable`, `blob-unavailable`. */
export async function openOperatorQueue({ redis, blobs }: Installation): Promise<OperatorQueue> {
  const link = await connectRedis(redis, silent, patienceMs);
  const store = await openBlobs(blobs, link);
  const stages = [cryptoStage(link), deliveryStage(link)];
  return {
    status: () => Promise.all(stages.map((stage) => stage.status(new Date()))),
    quarantine: redisQuarantine(link, store),
    spoolKeys: (now) => namedSpoolKeys(store, now),
    ledger: redisLedger(link),
    async close() {
      await store.close();
      await link.close();
    },
  };
}
