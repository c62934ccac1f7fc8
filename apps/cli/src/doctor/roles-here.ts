// Which processes this machine is for: each machine has the credentials of its own roles only. In containers the files that are not
// handed to one are not there, and places for what `init` will make are empty.

import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Installation } from '@sealpost/service';

const roles = ['ingress', 'crypto-worker', 'egress', 'operator', 'key-service'] as const;
export type Role = (typeof roles)[number];

export function rolesHere({ keyService: { credentials } }: Installation): readonly Role[] {
  return roles.filter((role) => (statSync(join(credentials, `${role}.crt`), { throwIfNoEntry: false })?.size ?? 0) > 0);
}
