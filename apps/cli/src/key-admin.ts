// A connection to the key service with the operator's certificate, for the length of one command.

import { connectKeyAdmin, type KeyAdmin } from '@sealpost/service';
import { type InstallationOptions, installationOf } from './installation.ts';

/** Runs `use` with the operator's connection and closes it. */
export async function withKeyAdmin<T>(options: InstallationOptions, use: (admin: KeyAdmin) => Promise<T>): Promise<T> {
  const admin = connectKeyAdmin(installationOf(options).keyService);
  try {
    return await use(admin);
  } finally {
    admin.close();
  }
}
