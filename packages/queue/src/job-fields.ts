// How log lines name a job.

import type { EventFields, StageName } from '@sealpost/core';
import { bornAt } from './born-at.ts';

/** An id that is not one of ours came from somebody else's hand and stays out of the log. */
export function jobFields(stage: StageName, id: string): EventFields {
  const known = bornAt(id) ? id : 'malformed';
  return stage === 'crypto' ? { message: known } : { delivery: known };
}
