// Target `mime`: the scan of headers and multiparts, transfer encodings, the canonical form, and a round trip through signing.

import { isAscii } from 'node:buffer';
import {
  boundaryOf,
  decodeTransfer,
  firstValue,
  inspect,
  open,
  parseMailboxes,
  protect,
  readEntity,
  readMultipart,
  SmimeError,
  typeOf,
} from '../../../packages/smime/src/index.ts';
import { isLineSafe, isSevenBitSafe, sevenBitEntity, toCrlf } from '../../../packages/smime/src/mime/canonical.ts';
import { describesContent, readContent } from '../../../packages/smime/src/mime/header.ts';
import { MAX_LINE_LENGTH } from '../../../packages/smime/src/mime/limits.ts';
import {
  decodeBase64,
  decodeQuotedPrintable,
  encodeBase64,
  encodeQuotedPrintable,
} from '../../../packages/smime/src/mime/transfer.ts';
import { corpusFiles } from '../corpus.ts';
import { plainMails, protectedMails } from '../messages.ts';
import { mutateMail } from '../mutate-mail.ts';
import { mutateOctets } from '../mutate-octets.ts';
import { alice, bob, keys, NOW, root } from '../people.ts';
import { must, type Target } from '../target.ts';

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof SmimeError) return undefined;
    throw error;
  }
}

/** Bodies inside bodies that are looked at. */
const MAX_DEPTH = 4;

function checkEntity(raw: Buffer, depth: number): void {
  const entity = attempt(() => readEntity(raw));
  if (entity === undefined) return;
  const head = Buffer.concat(entity.fields.map((field) => field.raw));
  must(raw.subarray(0, head.length).equals(head), 'the fields are the header octet for octet');
  const gap = raw.length - head.length - entity.body.length;
  must(
    gap >= 0 && gap <= 2 && raw.subarray(raw.length - entity.body.length).equals(entity.body),
    'the body is the rest',
  );
  const type = typeOf(entity.fields);
  const boundary = boundaryOf(type);
  if (boundary === undefined) return;
  const multipart = attempt(() => readMultipart(entity.body, boundary));
  if (multipart === undefined) return;
  const pieces = [multipart.preamble];
  multipart.delimiters.forEach((delimiter, index) => {
    pieces.push(delimiter, multipart.parts[index] ?? Buffer.alloc(0));
  });
  must(Buffer.concat([...pieces, multipart.epilogue]).equals(entity.body), 'parts and delimiters are the body');
  if (depth < MAX_DEPTH) for (const part of multipart.parts.slice(0, 8)) checkEntity(part, depth + 1);
}

function checkEncodings(body: Buffer, encoding: string | undefined): void {
  must(decodeBase64(encodeBase64(body)).equals(body), 'base64 gives the octets back');
  const text = toCrlf(body);
  must(toCrlf(text).equals(text), 'the line ends are mended once');
  must(body.includes(0) || isLineSafe(text), 'mended line ends are safe');
  const quoted = encodeQuotedPrintable(text);
  must(isSevenBitSafe(quoted), 'quoted-printable is 7bit');
  must(decodeQuotedPrintable(quoted).equals(text), 'quoted-printable gives the text back');
  decodeTransfer(body, encoding);
}

function checkMailboxes(value: string): void {
  for (const address of parseMailboxes(value).slice(0, 16)) {
    const [again, ...more] = parseMailboxes(`<${address}>`);
    must(again === address && more.length === 0, 'an address that was found is found again');
  }
}

const options = {
  keys,
  recipients: [bob.p256.certificate],
  trust: [root.certificate],
  at: NOW,
  from: 'alice@example.test',
};

/** Fields are signed as they are: only those of ASCII and of bounded lines come out as 7bit (RFC 6532 allows others). */
function isSevenBitHeader(message: Buffer): boolean {
  return (
    isAscii(message) &&
    message
      .toString('latin1')
      .split('\n')
      .every(({ length }) => length < MAX_LINE_LENGTH)
  );
}

async function checkSigning(message: Buffer): Promise<void> {
  const entity = attempt(() => readEntity(message));
  if (entity === undefined) return;
  const content = Buffer.concat(sevenBitEntity(entity.fields.filter(describesContent), entity.body));
  must(isLineSafe(content), 'what is signed has CRLF only');
  must(!isSevenBitHeader(message) || isSevenBitSafe(content), 'what is signed is 7bit');
  const sign = { certificate: alice.ed25519.certificate, opaque: message.length % 2 === 0 };
  const encrypt = message.length % 3 === 0 ? { encrypt: { recipients: options.recipients } } : {};
  const made = await protect(message, { keys, sign, ...encrypt, now: NOW });
  const shown: Buffer[] = [];
  const opened = await open(made, { ...options, onContent: (octets) => void shown.push(Buffer.from(octets)) });
  // What is inside may be S/MIME itself, and broken.
  must(opened.kind !== 'plain' && opened.verdict.signers[0]?.integrity === 'valid', 'what was signed holds');
  must(
    shown.some((octets) => octets.equals(content)),
    'what was signed is what is shown',
  );
  // A bare CR ends no line where parts are found, and one in the text that is signed: what it was in is not what it becomes.
  if (/\r(?!\n)/.test(message.toString('latin1'))) return;
  const again = Buffer.concat(
    sevenBitEntity(readContent(content).fields.filter(describesContent), readContent(content).body),
  );
  must(again.equals(content), 'the signed form stays as it is');
}

export const target: Target = {
  seeds: [
    ...plainMails,
    ...(await protectedMails()),
    ...corpusFiles(
      '{cpython-email,mime-misc,mime-tools,thunderbird-mime}/**/*.{eml,msg,txt,out}',
      'thunderbird/**/*.eml',
      'smtp-smuggling/*',
    ),
  ],
  mutate(input, other, random) {
    return random.once(4) ? mutateOctets(input, other, random) : mutateMail(input, other, random);
  },
  async run(input) {
    checkEntity(input, 0);
    const inspected = attempt(() => inspect(input));
    for (const { name, value } of inspected?.headers.slice(0, 64) ?? []) {
      if (name === 'from' || name === 'to' || name === 'sender') checkMailboxes(value);
    }
    const entity = attempt(() => readEntity(input));
    if (entity !== undefined) checkEncodings(entity.body, firstValue(entity.fields, 'content-transfer-encoding'));
    const opened = await open(input, { ...options, recipients: [], trust: [] });
    must(opened.kind === 'plain' || !opened.verdict.verified, 'nobody is trusted, nothing is verified');
    await checkSigning(input);
  },
};
