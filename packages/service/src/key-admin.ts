// What people ask of the key service, for the command line: the operations of key-protocol/ with the credential of the operator that
// `init` made, or with a person's own. Errors: SealpostError for what the pipeline knows too (`key-service-unavailable`, `key-service-sealed`,
// `audit-unavailable`, `ticket-invalid`), KeyFault with a sentence for the rest.

import type { KeyServiceConfig } from './config/key-service-client.ts';
import { type KeyCaller, type KeyConnection, openKeyConnection } from './key-connection.ts';

export type KeyAdmin = KeyConnection;

/** Reads the credential; connects with the first call. Throws SetupError. */
export function connectKeyAdmin(keyService: KeyServiceConfig, caller: KeyCaller = 'operator'): KeyAdmin {
  return openKeyConnection(keyService, caller);
}
