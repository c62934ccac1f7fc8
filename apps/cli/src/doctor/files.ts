// Files and directories that the configuration names: secrets for their owner only, certificates that belong to their keys and have
// time left, directories that can be written.

import { X509Certificate } from 'node:crypto';
import { accessSync, constants, existsSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Installation, readIdentity } from '@sealpost/service';
import { type Finding, failed, ok, warning, wordsOf } from './finding.ts';

const dayMs = 86_400_000;
/** `init` renews in the last third of a year; a listener's certificate takes somebody days to get. */
const soonDays = 21;
/** Less than this share free: the blob store answers 452 before long. */
const leastFree = 0.1;

export function examineFiles(config: Installation): Finding[] {
  return [
    ...secretsOf(config).flatMap(([what, file]) => examineSecret(what, file)),
    ...identitiesOf(config).flatMap(([what, files]) => examineIdentity(what, files)),
    ...directoriesOf(config).flatMap(([what, directory]) => examineDirectory(what, directory)),
  ];
}

function secretsOf({ keyService, redis, keyServer, log, egress, ingress }: Installation): [string, string][] {
  const named: readonly (readonly [string, string | undefined])[] = [
    ['keyService.passphraseFile', keyService.passphraseFile],
    ['redis.passwordFile', redis.passwordFile],
    ['keyServer.slot.file', keyServer.slot.file],
    ...keyServer.slots.map(({ file }, at) => [`keyServer.slots[${at}].file`, file] as const),
    ['keyServer.pkcs11.pinFile', keyServer.pkcs11?.pinFile],
    ['log.hashKeyFile', log.hashKeyFile],
    ['ingress.tls.keyFile', ingress.tls?.keyFile],
    ...egress.routes.map(
      ({ authentication }, at) =>
        [`egress.routes[${at}].authentication.passwordFile`, authentication?.passwordFile] as const,
    ),
  ];
  return named.flatMap(([what, file]) => (file === undefined ? [] : [[what, file]]));
}

function examineSecret(what: string, file: string): Finding[] {
  if (!existsSync(file)) return [failed(what, `${file} is not there`, 'make the file, or mount it')];
  const { mode, uid } = statSync(file);
  if ((mode & 0o077) !== 0)
    return [failed(what, `${file} can be read by others (mode ${octal(mode)})`, `chmod 0400 ${file}`)];
  const me = process.getuid?.();
  if (me !== undefined && me !== 0 && uid !== me && uid !== 0)
    return [failed(what, `${file} belongs to user ${uid}`, `chown ${me} ${file}`)];
  return [ok(what, `${file} is its owner's alone`)];
}

type Identity = Parameters<typeof readIdentity>[0];

/** Credentials are looked at where they are: each machine has those of its own roles only. */
function identitiesOf({ keyService: { credentials, passphraseFile }, ingress }: Installation): [string, Identity][] {
  const roles = ['ingress', 'crypto-worker', 'egress', 'operator', 'key-service'];
  const present = roles.filter((role) => existsSync(join(credentials, `${role}.crt`)));
  return [
    ...present.map((role): [string, Identity] => [
      `credential ${role}`,
      {
        certificateFile: join(credentials, `${role}.crt`),
        keyFile: join(credentials, `${role}.key`),
        passphraseFile,
      },
    ]),
    ...(ingress.tls ? [['ingress.tls', ingress.tls] satisfies [string, Identity]] : []),
  ];
}

function examineIdentity(what: string, files: Identity): Finding[] {
  try {
    readIdentity(files);
  } catch (error) {
    return [failed(what, wordsOf(error), 'give the certificate and key that belong together, and their passphrase')];
  }
  const { validToDate } = new X509Certificate(readFileSync(files.certificateFile));
  const days = Math.floor((validToDate.getTime() - Date.now()) / dayMs);
  const renew = what.startsWith('credential')
    ? 'stop the key service and run its `init`: it renews credentials'
    : 'renew the certificate and restart the ingress';
  if (days < 0) return [failed(what, `${files.certificateFile} ended ${-days} days ago`, renew)];
  if (days < soonDays) return [warning(what, `${files.certificateFile} ends in ${days} days`, renew)];
  return [ok(what, `certificate and key belong together, ${days} days left`)];
}

function directoriesOf({ blobs, keyServer }: Installation): [string, string][] {
  const named: readonly (readonly [string, string, boolean])[] = [
    ['blobs.directory', blobs.directory, blobs.store !== 'redis'],
    ['keyServer.directory', keyServer.directory, true],
    ['keyServer.audit.file', dirname(keyServer.audit.file), true],
  ];
  // The store and the log are on the key service's machine, and this may be another one.
  return named
    .filter(([what, directory, isUsed]) => isUsed && (what.startsWith('blobs') || existsSync(directory)))
    .map(([what, directory]) => [what, directory]);
}

function examineDirectory(what: string, directory: string): Finding[] {
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
  } catch {
    return [
      failed(what, `${directory} cannot be written by this user`, `make it, and give it to the user of the process`),
    ];
  }
  const { mode } = statSync(directory);
  if ((mode & 0o007) !== 0)
    return [warning(what, `${directory} is open to everybody (mode ${octal(mode)})`, `chmod 0700 ${directory}`)];
  const { bavail, blocks, bsize } = statfsSync(directory);
  const free = `${Math.floor((bavail * bsize) / 2 ** 30)} GiB free`;
  if (bavail / blocks < leastFree)
    return [
      warning(what, `${directory}: ${free}, less than a tenth of the disk`, 'make room, or move it to a larger disk'),
    ];
  return [ok(what, `${directory} can be written, ${free}`)];
}

function octal(mode: number): string {
  return (mode & 0o777).toString(8).padStart(4, '0');
}
