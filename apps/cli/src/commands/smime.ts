// `sealpost smime`: the engine on files, without a gateway. `open` takes a message or a bare CMS object apart and says what it is
// worth; `protect` signs and encrypts a message. One JSON object with `--json`, facts for people without.

import { CIPHERS, type CipherName, type DigestName } from '@sealpost/smime';
import { type Command, Option } from 'commander';
import { orUsage, repeated, toDate } from '../arguments.ts';
import { printFacts, printJson } from '../output.ts';
import { type OpenFlags, openFile } from '../smime/open-file.ts';
import { type ProtectFlags, protectFile } from '../smime/protect-file.ts';

/** What we make; the engine reads more. */
const ciphers = Object.values(CIPHERS).filter(({ mode, legacy }) => !legacy && mode !== 'ccm');
const digests: readonly DigestName[] = ['sha256', 'sha384', 'sha512', 'sha3-256', 'sha3-384', 'sha3-512'];

export function addSmimeCommands(program: Command): void {
  const smime = program.command('smime').description('protect and open messages in files');
  addOpen(smime.command('open'));
  addProtect(smime.command('protect'));
}

function addOpen(command: Command): void {
  command
    .description('open a message or a bare CMS object: decrypt, verify, say what it is worth')
    .requiredOption('--in <file>', 'message, or CMS object in DER, PEM or base64')
    .option('--content <file>', 'content of a detached signature, with a bare CMS object')
    .option('--key <file>', 'private key; repeatable', repeated)
    .option('--cert <file>', 'certificate of a key, or one that helps to verify; repeatable', repeated)
    .option('--p12 <file>', 'PKCS#12 file with keys and certificates; repeatable', repeated)
    .option('--password-file <file>', 'password of the PKCS#12 files or keys, in their order; repeatable', repeated)
    .option('--password-recipient <file>', 'password that opens the message itself; repeatable', repeated)
    .option('--kek <file>', 'key encryption key as hex digits; repeatable', repeated)
    .option('--trust <file>', 'certification authorities to believe; repeatable', repeated)
    .option('--crl <file>', 'revocation lists; with any, every certificate needs one; repeatable', repeated)
    .option('--at <date>', 'time for which certificates must be valid, ISO 8601; default: now', toDate)
    .option('--no-path', 'leave certificate path and time out of `verified`')
    .option('--allow-legacy', 'decrypt 3DES and RC2 too')
    .option('--from <address>', 'the address that the signer must own; default: the From field of a message')
    .option('--out <file>', 'write the content here')
    .option('--json', 'print one JSON value')
    .addHelpText(
      'after',
      `
With a message, --out and contentSha256 are what remains when every layer is off; with a bare CMS object, what the object itself holds.
Exit status: 0 opened (the verdict is inside), 1 not opened, 2 the command line was wrong.

Examples:
  sealpost smime open --in mail.eml --p12 bob.p12 --password-file bob.pass --trust ca.pem --out text.eml
  sealpost smime open --in signature.p7s --content report.pdf --trust ca.pem --at 2026-06-01 --json`,
    )
    .action(async (flags: OpenFlags & { readonly json?: boolean }) => {
      const report = await orUsage(command, () => openFile(flags));
      if (!report.ok) process.exitCode = 1;
      if (flags.json) return printJson(report);
      const { layers, from, weaknesses, error, ...facts } = report;
      printFacts({
        ...facts,
        layers: layers.map(({ kind }) => kind).join(' > ') || 'none',
        fromMatch: from.match,
        weaknesses: weaknesses.join(', ') || 'none',
        error: error?.code,
      });
    });
}

function addProtect(command: Command): void {
  command
    .description('sign, encrypt, or sign and then encrypt a message')
    .requiredOption('--in <file>', 'message to protect')
    .requiredOption('--out <file>', 'where the protected message goes')
    .option('--signer-key <file>', 'private key of the signer')
    .option('--signer-cert <file>', 'certificate of the signer')
    .option('--chain <file>', 'issuers to send along; repeatable', repeated)
    .option('--password-file <file>', 'password of the signer’s key')
    .option('--recipient <file>', 'certificate to encrypt to; repeatable', repeated)
    .addOption(
      new Option(
        '--cipher <name>',
        'content cipher (default: AES-256-GCM where all recipients are known to read it, else AES-256-CBC)',
      ).choices(ciphers.map(({ name }) => name)),
    )
    .addOption(new Option('--digest <name>', 'digest of the signature').choices(digests))
    .option('--pss', 'RSA-PSS instead of PKCS#1 v1.5')
    .option('--oaep', 'RSA-OAEP for all RSA recipients (default: for those who are known to read it, else PKCS#1 v1.5)')
    .option('--opaque', 'signed content inside the CMS object instead of beside it')
    .option('--json', 'print one JSON value')
    .addHelpText(
      'after',
      `
Exit status: 0 protected, 1 it could not be done, 2 the command line was wrong.

Example:
  sealpost smime protect --in mail.eml --out protected.eml --signer-key alice.key --signer-cert alice.pem --recipient bob.pem`,
    )
    .action(async (flags: ProtectFlags & { cipher?: CipherName; digest?: DigestName; json?: boolean }) => {
      const report = await orUsage(command, () => protectFile(flags));
      if (!report.ok) process.exitCode = 1;
      if (flags.json) return printJson(report);
      const { error, ...facts } = report;
      printFacts({ ...facts, error: error?.code });
    });
}
