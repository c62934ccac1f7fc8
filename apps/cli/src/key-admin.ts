// A connection to the key service for the length of one command: with the certificate of the operator that `init` made, or with the
// one that a person names with `--as`.

import { join } from 'node:path';
import { connectKeyAdmin, type KeyAdmin, readIdentity, type TlsFiles, type TlsIdentity } from '@sealpost/service';
import { type InstallationOptions, installationOf } from './installation.ts';

/** Runs `use` with the connection and closes it. */
export async function withKeyAdmin<T>(options: InstallationOptions, use: (admin: KeyAdmin) => Promise<T>): Promise<T> {
  const admin = connectKeyAdmin(installationOf(options).keyService, credentialOf(options));
  try {
    return await use(admin);
  } finally {
    admin.close();
  }
}

/** Certificate and key of whoever gives the command. Throws SetupError. */
export function identityOf(options: InstallationOptions): TlsIdentity {
  return readIdentity(credentialOf(options));
}

function credentialOf(options: InstallationOptions): TlsFiles {
  const { as, asPassphraseFile: passphraseFile } = options;
  if (as !== undefined) return { certificateFile: `${as}.crt`, keyFile: `${as}.key`, passphraseFile };
  const { credentials, passphraseFile: own } = installationOf(options).keyService;
  const operator = join(credentials, 'operator');
  return { certificateFile: `${operator}.crt`, keyFile: `${operator}.key`, passphraseFile: own };
}
