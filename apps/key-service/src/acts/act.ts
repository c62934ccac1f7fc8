// The shape of something that one person alone may not do. Each is a file here; the policy says how many others must approve it.

import type { PersonRole } from '@sealpost/service';
import type { z } from 'zod';
import type { OpenStore } from '../open-store.ts';
import type { AuditSubject, Call } from '../operations/operation.ts';
import type { Duty } from '../policy/policy.ts';
import type { JsonValue } from './requests.ts';

export interface Act<P> {
  /** Strict; parameters as the request states them: values of JSON, bytes in base64, no defaults and no conversions. */
  readonly form: z.ZodType<P>;
  /** Who may request it. */
  readonly requestedBy: readonly PersonRole[];
  /** A duty of the policy that the requester must have too. */
  readonly duty?: Duty;
  /** One line for those who approve, without a secret; part of what they sign. */
  describe(params: P): string;
  /** What the audit records of request, approval and execution say. */
  subject?(params: P, store: OpenStore): Promise<AuditSubject> | AuditSubject;
  /** Refuses early what could never be done; on requesting, and again before it is executed. */
  check?(params: P, call: Call): Promise<void> | void;
  /** Runs once at most; what it decides by, it reads in the transaction of what it does. The answer, a value of JSON, goes to the requester. */
  run(params: P, call: Call): Promise<JsonValue> | JsonValue;
}
