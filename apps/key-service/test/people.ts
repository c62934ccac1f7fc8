// People for tests: their keys made here as on their own machines, their certificates issued and registered by the store itself, and
// codes of their second factor.

import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Installation, PersonRole, TlsFiles } from '@sealpost/service';
import { TOTP, URI } from 'otpauth';
import { issueClientCertificate } from '../src/authority/service-authority.ts';
import { type Keeper, openKeeper } from '../src/keeper.ts';

/** Opens the store of a service that does not run, for `use`. */
export async function withStore<T>(
  config: Installation,
  secret: Buffer,
  use: (store: ReturnType<Keeper['store']>) => T | Promise<T>,
): Promise<T> {
  const keeper = await openKeeper({ config, clock: { now: () => new Date() }, log: { event: () => undefined } });
  try {
    await keeper.unseal(config.keyServer.slot.kind, secret);
    return await use(keeper.store());
  } finally {
    await keeper.close();
  }
}

export interface TestPerson extends TlsFiles {
  readonly role: PersonRole;
  readonly name: string;
  readonly privateKey: KeyObject;
}

/** Makes a person's key and credential files, and the store know them. */
export async function addPerson(
  store: ReturnType<Keeper['store']>,
  directory: string,
  role: PersonRole,
  name: string,
  tenants?: readonly string[],
): Promise<TestPerson> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const certificate = await issueClientCertificate(store.serviceAuthority, role, name, publicKey);
  const files = { certificateFile: join(directory, `${name}.crt`), keyFile: join(directory, `${name}.key`) };
  writeFileSync(files.certificateFile, certificate.pem);
  writeFileSync(files.keyFile, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
  await store.people.add(name, role, certificate, new Date(), tenants);
  return { ...files, role, name, privateKey };
}

/** The code that an authenticator with this otpauth URI shows, `steps` of thirty seconds from now. */
export function codeFor(uri: string, steps = 0): string {
  const totp = URI.parse(uri);
  if (!(totp instanceof TOTP)) throw new Error('not a time-based factor');
  return totp.generate({ timestamp: Date.now() + steps * 30_000 });
}
