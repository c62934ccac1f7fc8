// `sealpost break-glass`: opens one message of one person without a delivery, with the approval of others. The message stays on this
// machine: its RecipientInfos go to the key service, content keys come back, sealed to a key that is made here and kept in a file
// between the two halves.

import { createHash, createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { normalAddress } from '@sealpost/core';
import { ephemeralBytes, type KeyAdmin, openReleasedKey } from '@sealpost/service';
import { type Certificate, type KeyPort, type OpenKeyRequest, open, parseCertificate } from '@sealpost/smime';
import type { Command } from 'commander';
import { requestAct, showAct } from '../acts.ts';
import { orUsage } from '../arguments.ts';
import { type InstallationOptions, withInstallation } from '../installation.ts';
import { withKeyAdmin } from '../key-admin.ts';
import { printFacts, printJson } from '../output.ts';
import { readInput } from '../read-input.ts';
import { UsageError } from '../usage-error.ts';
import { writeOutput } from '../write-output.ts';

type Options = InstallationOptions & { readonly json?: boolean };

const act = 'break-glass-decrypt';

/** What is kept between request and opening. */
interface Kept {
  readonly request: string;
  readonly tenant: string;
  readonly address: string;
  /** SHA-256 of the message. */
  readonly message: string;
  /** PKCS#8 of the X25519 key, base64. */
  readonly privateKey: string;
  readonly certificates: readonly string[];
  readonly recipientInfos: readonly string[];
  /** Where nobody else had to approve, or once it was executed. */
  readonly contentKeys?: readonly (string | null)[];
}

export function addBreakGlassCommands(program: Command): void {
  const breakGlass = program
    .command('break-glass')
    .description('open one message of one person, with the approval of others: request, open');

  withInstallation(breakGlass.command('request <message>'))
    .description('request that a message be opened')
    .requiredOption('--address <address>', 'the person of ours whose mail it is')
    .requiredOption('--reason <text>', 'why, for those who approve it and for the audit log')
    .requiredOption('--keep <file>', 'file that is made here and needed to open the message; it holds a private key')
    .addHelpText(
      'after',
      '\nExample:\n  sealpost break-glass request mail.eml --address bob@example.org --reason "court order 7/26" --keep bob.keep --as ~/sealpost/alice',
    )
    .action((file: string, options: Options & { address: string; reason: string; keep: string }, command: Command) =>
      orUsage(command, () => withKeyAdmin(options, (admin) => request(admin, file, options))),
    );

  withInstallation(breakGlass.command('open <message>'))
    .description('open the message, once the request is approved')
    .requiredOption('--keep <file>', 'the file that the request made')
    .requiredOption('--out <file>', 'where the opened message goes')
    .addHelpText(
      'after',
      '\nExample:\n  sealpost break-glass open mail.eml --keep bob.keep --out opened.eml --as ~/sealpost/alice',
    )
    .action((file: string, options: Options & { keep: string; out: string }, command: Command) =>
      orUsage(command, () => withKeyAdmin(options, (admin) => openMessage(admin, file, options))),
    );
}

async function request(
  admin: KeyAdmin,
  file: string,
  options: Options & { readonly address: string; readonly reason: string; readonly keep: string },
): Promise<void> {
  const bytes = readInput(file);
  const address = normalAddress(options.address);
  const { identity, records } = await admin.call('identity-show', { address });
  const certificates = records
    .filter(({ keyId }) => keyId?.split('/')[2] === 'decryption')
    .map(({ certificate }) => parseCertificate(certificate));
  const asked = await infosOf(bytes, certificates);
  if (asked.length === 0) throw new UsageError(`${file} is not encrypted to a key of ${address}`);
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const message = createHash('sha256').update(bytes).digest('hex');
  const params = {
    tenant: identity.tenant,
    address,
    message,
    to: ephemeralBytes(publicKey).toString('base64'),
    items: asked.map(({ recipientInfo, keyLength }) => ({
      recipientInfo: recipientInfo.toString('base64'),
      keyLength,
    })),
  };
  const done = await requestAct(admin, { act, params, reason: options.reason });
  const kept: Kept = {
    request: done.request.id,
    tenant: identity.tenant,
    address,
    message,
    privateKey: privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
    certificates: certificates.map(({ der }) => der.toString('base64')),
    recipientInfos: params.items.map(({ recipientInfo }) => recipientInfo),
    ...(done.result === undefined ? {} : resultOf(done.result)),
  };
  keep(options.keep, kept, 'wx');
  showAct(done, options.json ?? false, () => printFacts({ message: 'may be opened', 'keep file': options.keep }));
}

async function openMessage(
  admin: KeyAdmin,
  file: string,
  options: Options & { readonly keep: string; readonly out: string },
): Promise<void> {
  const bytes = readInput(file);
  let kept = readKept(options.keep);
  if (createHash('sha256').update(bytes).digest('hex') !== kept.message) {
    throw new UsageError(`${options.keep} was made for another message`);
  }
  if (!kept.contentKeys) {
    const { result } = await admin.call('act-execute', { id: kept.request });
    kept = { ...kept, ...resultOf(result) };
    // It is executed once only, and must not be lost with this process.
    keep(options.keep, kept, 'w');
  }
  const recipients = kept.certificates.map((der) => parseCertificate(Buffer.from(der, 'base64')));
  const opened = await open(bytes, { keys: releasedKeys(kept), recipients, trust: [], at: new Date() });
  if (opened.kind !== 'opened') throw new UsageError('the content keys do not open this message');
  writeOutput(options.out, opened.message);
  if (options.json) printJson({ out: options.out });
  else printFacts({ opened: options.out });
}

/** The RecipientInfos of the outermost encryption that name one of the certificates. */
async function infosOf(bytes: Buffer, certificates: readonly Certificate[]): Promise<OpenKeyRequest[]> {
  const asked: OpenKeyRequest[] = [];
  const keys: KeyPort = {
    sign: () => Buffer.alloc(0),
    openRecipient(each) {
      asked.push(each);
      return undefined;
    },
  };
  await open(bytes, { keys, recipients: certificates, trust: [], at: new Date() });
  return asked;
}

function releasedKeys({ tenant, address, privateKey, recipientInfos, contentKeys }: Kept): KeyPort {
  const key = createPrivateKey({ key: Buffer.from(privateKey, 'base64'), format: 'der', type: 'pkcs8' });
  return {
    sign: () => Buffer.alloc(0),
    openRecipient({ recipientInfo }) {
      const sealed = contentKeys?.[recipientInfos.indexOf(recipientInfo.toString('base64'))];
      return sealed
        ? openReleasedKey(Buffer.from(sealed, 'base64'), { tenant, address, recipientInfo }, key)
        : undefined;
    },
  };
}

/** As the act answers it. */
function resultOf(result: unknown): Required<Pick<Kept, 'contentKeys'>> {
  return result as Required<Pick<Kept, 'contentKeys'>>;
}

function keep(file: string, kept: Kept, flag: 'w' | 'wx'): void {
  writeFileSync(file, `${JSON.stringify(kept)}\n`, { mode: 0o600, flag });
}

function readKept(file: string): Kept {
  let kept: Partial<Kept> = {};
  try {
    kept = JSON.parse(readInput(file).toString('utf8'));
  } catch {
    // One sentence for a file that is not there and for one that is something else.
  }
  if (typeof kept.request === 'string' && typeof kept.privateKey === 'string') return kept as Kept;
  throw new UsageError(`${file} is not a file that \`sealpost break-glass request\` made`);
}
