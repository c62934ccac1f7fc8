// `sealpost smime open`: from the flags to the engine, and from its verdict to what is printed.

import {
  isObject,
  localKeys,
  type Opened,
  type OpenedObject,
  type OpenOptions,
  open,
  openObject,
  parseCrls,
  type SmimeErrorCode,
  type Verdict,
} from '@sealpost/smime';
import { parsedFile } from '../arguments.ts';
import { readInput } from '../read-input.ts';
import { UsageError } from '../usage-error.ts';
import { ContentSink } from './content-sink.ts';
import { describeLayer } from './describe.ts';
import { type HolderFlags, readCertificates, readHolders, readPassword } from './holders.ts';

export interface OpenFlags extends HolderFlags {
  readonly in: string;
  readonly content?: string;
  readonly passwordRecipient?: readonly string[];
  readonly kek?: readonly string[];
  readonly trust?: readonly string[];
  readonly crl?: readonly string[];
  readonly at?: Date;
  readonly path: boolean;
  readonly allowLegacy?: boolean;
  readonly from?: string;
  readonly out?: string;
}

export interface OpenReport {
  /** Opened: every layer that is encrypted was decrypted. Says nothing about signatures. */
  readonly ok: boolean;
  readonly verified: boolean;
  readonly encrypted: boolean;
  readonly signed: boolean;
  /** Why it is not verified. */
  readonly problem?: Verdict['problem'];
  readonly layers: readonly ReturnType<typeof describeLayer>[];
  readonly from: Verdict['from'];
  readonly weaknesses: Verdict['weaknesses'];
  /** Hex, of what `--out` gets. Of a bare object also when something further inside did not open. */
  readonly contentSha256?: string;
  /** `not-protected`: neither S/MIME nor a message with S/MIME in it. */
  readonly error?: { readonly code: SmimeErrorCode | 'not-protected' };
}

/** Throws UsageError for files that cannot be read. */
export async function openFile(flags: OpenFlags): Promise<OpenReport> {
  const bytes = readInput(flags.in);
  const detached = flags.content === undefined ? undefined : readInput(flags.content);
  const isBare = detached !== undefined || isObject(bytes);
  const content = new ContentSink(isBare ? 'outermost' : 'innermost', flags.out);
  const options = { ...openOptions(flags), onContent: (octets: Buffer) => content.show(octets) };
  try {
    const result = isBare ? await openObject(bytes, options, detached) : await open(bytes, options);
    if (result.kind === 'opened') content.release();
    return reported(result, isBare || result.kind === 'opened' ? content.sha256 : undefined);
  } finally {
    content.discard();
  }
}

function openOptions(flags: OpenFlags): OpenOptions {
  const { holders, bareKeys, others } = readHolders(flags);
  const trust = (flags.trust ?? []).flatMap(readCertificates);
  const crls = (flags.crl ?? []).flatMap((file) => parsedFile(file, () => parseCrls(readInput(file))));
  return {
    keys: localKeys(holders),
    recipients: holders.map(({ certificate }) => certificate),
    secrets: {
      privateKeys: bareKeys,
      passwords: (flags.passwordRecipient ?? []).map((file) => Buffer.from(readPassword(file), 'utf8')),
      keys: (flags.kek ?? []).map((file) => ({ key: readHex(file) })),
    },
    trust,
    // A signer whose certificate does not come along may be known by being trusted.
    intermediates: [...others, ...trust],
    ...(crls.length > 0 ? { crls } : {}),
    at: flags.at ?? new Date(),
    path: flags.path,
    allowLegacy: flags.allowLegacy ?? false,
    ...(flags.from === undefined ? {} : { from: flags.from }),
  };
}

function readHex(file: string): Buffer {
  const digits = readInput(file).toString('latin1').replace(/\s+/g, '');
  if (!/^([0-9a-f]{2})+$/i.test(digits)) throw new UsageError(`${file} is not a key written as hex digits`);
  return Buffer.from(digits, 'hex');
}

function reported(result: Opened | OpenedObject, contentSha256: string | undefined): OpenReport {
  if (result.kind === 'plain') return { ...nothing, error: { code: 'not-protected' } };
  const { verified, encrypted, signed, problem, layers, from, weaknesses } = result.verdict;
  return {
    ok: result.kind === 'opened',
    verified,
    encrypted,
    signed,
    ...(problem === undefined ? {} : { problem }),
    layers: layers.map(describeLayer),
    from,
    weaknesses,
    ...(contentSha256 === undefined ? {} : { contentSha256 }),
    ...(result.kind === 'broken' ? { error: result.error } : {}),
    ...(result.kind === 'undecryptable' ? { error: { code: 'undecryptable' } } : {}),
  };
}

const nothing = {
  ok: false,
  verified: false,
  encrypted: false,
  signed: false,
  layers: [],
  from: { match: false },
  weaknesses: [],
} as const;
