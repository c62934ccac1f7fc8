// The shape of an operation on the open store. One that has a `subject` is audited: intent on disk before it runs, outcome
// before its answer. The others give out what is public or says nothing of a key.

import type { AuditEntry, KeyAnswer, KeyOperation, KeyRequest, TenantsConfig } from '@sealpost/service';
import type { Caller } from '../caller.ts';
import type { OpenStore } from '../open-store.ts';

/** What an audit record says about the things an operation touches. */
export type AuditSubject = Pick<
  AuditEntry,
  | 'tenant'
  | 'key'
  | 'address'
  | 'message'
  | 'lease'
  | 'until'
  | 'slot'
  | 'instance'
  | 'certificate'
  | 'count'
  | 'act'
  | 'approval'
  | 'digest'
  | 'person'
>;

export interface Call {
  readonly caller: Caller;
  readonly store: OpenStore;
  readonly tenants: TenantsConfig;
  /** Name of the installation, for people to read. */
  readonly installation: string;
  readonly now: Date;
  /** Adds to the outcome's record what was not known before. */
  note(more: AuditSubject): void;
}

export interface Operation<O extends KeyOperation> {
  subject?(request: KeyRequest<O>, store: OpenStore): Promise<AuditSubject> | AuditSubject;
  run(request: KeyRequest<O>, call: Call): Promise<KeyAnswer<O>> | KeyAnswer<O>;
}
