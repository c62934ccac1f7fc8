// `sealpost smime protect`: from the flags to the engine. The message in the file may have line ends of its system.

import {
  type Certificate,
  type CipherName,
  type DigestName,
  type EncryptOptions,
  localKeys,
  protect,
  type SignOptions,
  SmimeError,
  type SmimeErrorCode,
} from '@sealpost/smime';
import { readInput } from '../read-input.ts';
import { UsageError } from '../usage-error.ts';
import { writeOutput } from '../write-output.ts';
import { type Holder, isKeyOf, readCertificates, readPassword, readPrivateKey } from './holders.ts';

export interface ProtectFlags {
  readonly in: string;
  readonly out: string;
  readonly signerKey?: string;
  readonly signerCert?: string;
  readonly chain?: readonly string[];
  readonly passwordFile?: string;
  readonly recipient?: readonly string[];
  readonly cipher?: CipherName;
  readonly digest?: DigestName;
  readonly pss?: boolean;
  readonly oaep?: boolean;
  readonly opaque?: boolean;
}

export interface ProtectReport {
  readonly ok: boolean;
  readonly signed: boolean;
  readonly encrypted: boolean;
  /** Size of the protected message. */
  readonly bytes?: number;
  readonly error?: { readonly code: SmimeErrorCode };
}

/** Throws UsageError for flags that do not go together and files that cannot be read or written. */
export async function protectFile(flags: ProtectFlags): Promise<ProtectReport> {
  const signer = readSigner(flags);
  const encrypt = encryptOptions(flags);
  if (signer === undefined && encrypt === undefined) {
    throw new UsageError('name a signer with --signer-key and --signer-cert, a recipient with --recipient, or both');
  }
  const message = withCrlf(readInput(flags.in));
  const done = { signed: signer !== undefined, encrypted: encrypt !== undefined };
  try {
    const made = await protect(message, {
      keys: localKeys(signer === undefined ? [] : [signer]),
      ...(signer === undefined ? {} : { sign: signOptions(signer, flags) }),
      ...(encrypt === undefined ? {} : { encrypt }),
      now: new Date(),
    });
    writeOutput(flags.out, made);
    return { ok: true, ...done, bytes: made.length };
  } catch (error) {
    if (!(error instanceof SmimeError)) throw error;
    return { ok: false, signed: false, encrypted: false, error: { code: error.code } };
  }
}

interface Signer extends Holder {
  readonly chain: readonly Certificate[];
}

function readSigner({ signerKey, signerCert, passwordFile, chain = [] }: ProtectFlags): Signer | undefined {
  if (signerKey === undefined && signerCert === undefined) return undefined;
  if (signerKey === undefined || signerCert === undefined) {
    throw new UsageError('a signer needs both --signer-key and --signer-cert');
  }
  const privateKey = readPrivateKey(signerKey, passwordFile === undefined ? undefined : readPassword(passwordFile));
  const [certificate, ...issuers] = readCertificates(signerCert);
  if (certificate === undefined || !isKeyOf(privateKey, certificate)) {
    throw new UsageError(`the key in ${signerKey} does not belong to the certificate in ${signerCert}`);
  }
  return { certificate, privateKey, chain: [...issuers, ...chain.flatMap(readCertificates)] };
}

function signOptions(
  { certificate, chain }: Signer,
  { digest, pss = false, opaque = false }: ProtectFlags,
): SignOptions {
  return { certificate, chain, pss, opaque, ...(digest === undefined ? {} : { digest }) };
}

/** The first certificate of each file; issuers that stand behind it read no mail. */
function encryptOptions({ recipient = [], cipher, oaep }: ProtectFlags): EncryptOptions | undefined {
  const recipients = recipient.flatMap((file) => readCertificates(file).slice(0, 1));
  if (recipients.length === 0) return undefined;
  return { recipients, ...(oaep === undefined ? {} : { oaep }), ...(cipher === undefined ? {} : { cipher }) };
}

/** Mail on the wire has CRLF; a file that was never sent has the line ends of its system. */
function withCrlf(message: Buffer): Buffer {
  const end = message.indexOf('\n');
  if (end === -1 || message[end - 1] === 0x0d) return message;
  return Buffer.from(message.toString('latin1').replace(/\r?\n/g, '\r\n'), 'latin1');
}
