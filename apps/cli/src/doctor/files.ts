// Files and directories that the configuration names: secrets for their owner only, certificates that belong to their keys and have
// time left, directories that can be written.

import { X509Certificate } from 'node:crypto';
import { accessSync, constants, existsSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Installation, readIdentity } from '@sealpost/service';
import { type Finding, failed, ok, warning, wordsOf } from './finding.ts';
import { type Role, rolesHere } from './roles-here.ts';

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
    ...examineBackups(config),
  ];
}

type Secret = readonly [string, string | undefined];

/** What processes of this machine read; what is another machine's is looked at only where it lies here too. */
function secretsOf(config: Installation): [string, string][] {
  const { keyService, redis, keyServer, log, egress, ingress } = config;
  const here = rolesHere(config);
  const has = (...roles: readonly Role[]): boolean => roles.some((role) => here.includes(role));
  const named: readonly (readonly [boolean, readonly Secret[]])[] = [
    [true, [['keyService.passphraseFile', keyService.passphraseFile]]],
    [has('ingress', 'crypto-worker', 'egress', 'operator'), [['redis.passwordFile', redis.passwordFile]]],
    [has('ingress', 'crypto-worker', 'egress', 'key-service'), [['log.hashKeyFile', log.hashKeyFile]]],
    [has('ingress'), [['ingress.tls.keyFile', ingress.tls?.keyFile]]],
    [
      has('egress'),
      egress.routes.map(({ authentication }, at) => [
        `egress.routes[${at}].authentication.passwordFile`,
        authentication?.passwordFile,
      ]),
    ],
    [
      has('key-service'),
      [
        ['keyServer.slot.file', keyServer.slot.kind === 'file' ? keyServer.slot.file : undefined],
        ...keyServer.slots.map(({ file }, at): Secret => [`keyServer.slots[${at}].file`, file]),
        ['keyServer.pkcs11.pinFile', keyServer.pkcs11?.pinFile],
      ],
    ],
  ];
  return named.flatMap(([isHere, secrets]) =>
    secrets.flatMap(([what, file]): [string, string][] =>
      file !== undefined && (isHere || existsSync(file)) ? [[what, file]] : [],
    ),
  );
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

function identitiesOf(config: Installation): [string, Identity][] {
  const { credentials, passphraseFile } = config.keyService;
  const { tls } = config.ingress;
  const here = rolesHere(config);
  return [
    ...here.map((role): [string, Identity] => [
      `credential ${role}`,
      {
        certificateFile: join(credentials, `${role}.crt`),
        keyFile: join(credentials, `${role}.key`),
        passphraseFile,
      },
    ]),
    ...(tls && here.includes('ingress') ? [['ingress.tls', tls] satisfies [string, Identity]] : []),
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

function directoriesOf(config: Installation): [string, string][] {
  const { blobs, keyServer } = config;
  const holdsKeys = rolesHere(config).includes('key-service');
  const named: readonly (readonly [string, string | undefined, boolean])[] = [
    ['blobs.directory', blobs.directory, blobs.store !== 'redis'],
    ['keyServer.directory', keyServer.directory, holdsKeys],
    ['keyServer.audit.file', dirname(keyServer.audit.file), holdsKeys],
    ['keyServer.backup.directory', keyServer.backup.directory, holdsKeys],
  ];
  return named.flatMap(([what, directory, isUsed]): [string, string][] =>
    isUsed && directory !== undefined ? [[what, directory]] : [],
  );
}

function examineBackups(config: Installation): Finding[] {
  if (!rolesHere(config).includes('key-service')) return [];
  const what = 'keyServer.backup';
  const { recipient } = config.keyServer.backup;
  if (recipient === undefined) {
    return [
      warning(what, 'no backups of the key store are made', 'name a directory and a quorum: `sealpost backup quorum`'),
    ];
  }
  try {
    if (statSync(recipient).size > 0) return [ok(what, `sealed to the quorum of ${recipient}`)];
  } catch {
    // Not there is as good as empty.
  }
  return [
    failed(
      what,
      `${recipient} is not there or empty`,
      'make the quorum: `sealpost backup quorum`, and put its key there',
    ),
  ];
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
