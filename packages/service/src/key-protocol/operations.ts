// What travels between the stages or an operator and the key service: one JSON object each way per operation, `POST /v1/<name>`
// over mTLS. Both sides read this table, so a field cannot mean two things. Bytes are base64, times ISO 8601.

import type { z } from 'zod';
import { actOperations } from './acts.ts';
import { auditOperations } from './audit.ts';
import { backupOperations } from './backup.ts';
import { keyLifeOperations } from './keys.ts';
import { peopleOperations } from './people.ts';
import { policyOperations } from './policy.ts';
import { revocationOperations } from './revocations.ts';
import { sealOperations } from './seal.ts';
import { staffOperations } from './staff.ts';
import { stageOperations } from './stages.ts';
import { useOperations } from './use.ts';

/** Operation → what it takes and what it answers. Requests refuse unknown fields; answers may grow. */
export const keyOperations = {
  ...sealOperations,
  ...stageOperations,
  ...useOperations,
  ...revocationOperations,
  ...peopleOperations,
  ...auditOperations,
  ...backupOperations,
  ...keyLifeOperations,
  ...policyOperations,
  ...staffOperations,
  ...actOperations,
} as const;

export type KeyOperation = keyof typeof keyOperations;
/** A request as the caller gives it, defaults left out. */
export type KeyRequestInput<O extends KeyOperation> = O extends KeyOperation
  ? Partial<KeyRequest<O>> & Omit<KeyRequest<O>, 'algorithm' | 'single'>
  : never;
/** A request as the service reads it. */
export type KeyRequest<O extends KeyOperation> = z.output<(typeof keyOperations)[O]['request']>;
export type KeyAnswer<O extends KeyOperation> = z.output<(typeof keyOperations)[O]['answer']>;
