// Target `cms`: whole messages and bare objects opened with keys and trust at hand. Inputs come from somebody who has seen the
// seeds and holds none of the keys, so whatever is verified, or authenticated by a cipher, must be content of a seed.

import { createHash } from 'node:crypto';
import {
  isObject,
  type Opened,
  type OpenedObject,
  type OpenOptions,
  open,
  openObject,
} from '../../../packages/smime/src/index.ts';
import { corpusFiles } from '../corpus.ts';
import { objectMail, protectedMails } from '../messages.ts';
import { mutateMail } from '../mutate-mail.ts';
import { mutateOctets } from '../mutate-octets.ts';
import { mutateTlv } from '../mutate-tlv.ts';
import { bob, keys, NOW, root } from '../people.ts';
import type { Random } from '../random.ts';
import { must, type Target } from '../target.ts';

interface Shown {
  readonly result: Opened | OpenedObject;
  /** Content of each opened layer, from the outside in. */
  readonly contents: readonly string[];
}

const digest = (octets: Buffer): string => createHash('sha256').update(octets).digest('base64');

async function show(input: Buffer): Promise<Shown> {
  const contents: string[] = [];
  const options: OpenOptions = {
    keys,
    recipients: Object.values(bob).map(({ certificate }) => certificate),
    trust: [root.certificate],
    at: NOW,
    allowLegacy: true,
    strip: input.length % 3 === 0 ? 'all' : 'decrypted',
    onContent: (octets) => void contents.push(digest(octets)),
  };
  const result = isObject(input)
    ? await openObject(input, { ...options, from: 'alice@example.test' })
    : await open(input, options);
  return { result, contents };
}

/** Contents that somebody signed, and contents under an authenticating cipher. */
const signed = new Set<string>();
const sealed = new Set<string>();

function note({ result, contents }: Shown): void {
  if (result.kind === 'plain') return;
  result.verdict.layers.forEach((layer, index) => {
    const content = contents[index];
    if (content === undefined) return;
    if (layer.kind === 'signed') signed.add(content);
    if (layer.kind === 'encrypted' && layer.authenticated) sealed.add(content);
  });
}

function check({ result, contents }: Shown): void {
  if (result.kind === 'plain') return;
  const { verdict } = result;
  must(result.kind === 'opened' || !verdict.verified, 'only what was opened is verified');
  must(result.kind !== 'undecryptable' || verdict.problem === 'undecryptable', 'all ways to fail look alike');
  must(!verdict.verified || verdict.layers.some((layer) => layer.kind === 'signed'), 'only what is signed is verified');
  verdict.layers.forEach((layer, index) => {
    const content = contents[index];
    if (layer.kind === 'signed' && layer.signers.some(({ integrity }) => integrity === 'valid')) {
      const ours = layer.signers.some(({ path, verified }) => path?.ok === true || verified);
      must(
        !ours || (content !== undefined && signed.has(content)),
        'a trusted signature holds for what was signed only',
      );
    }
    if (layer.kind === 'encrypted' && layer.authenticated && layer.opened && layer.recipient !== undefined) {
      must(content !== undefined && sealed.has(content), 'an authenticating cipher opens what was sealed only');
    }
  });
}

const mails = await protectedMails();
for (const mail of mails) note(await show(mail));

/** Another layer around: what the sender of a mailing list, or an attacker, does with a message. */
function wrap(input: Buffer, random: Random): Buffer {
  if (isObject(input)) return objectMail(random.pick(['signed-data', 'enveloped-data', 'x']), input);
  const head = 'From: alice@example.test\r\nContent-Type: multipart/mixed; boundary="wrap"\r\n\r\n--wrap\r\n';
  return Buffer.concat([Buffer.from(head), input, Buffer.from('\r\n--wrap--\r\n')]);
}

export const target: Target = {
  seeds: [
    ...mails,
    ...corpusFiles(
      'cms/*.der',
      'thunderbird/**/*.eml',
      'openssl/**/*.eml',
      'gnupg/**/*.eml',
      'rfc4134/**/*.{bin,eml}',
      'lamps-*/**/*.{eml,pem,der}',
    ),
  ],
  mutate(input, other, random) {
    if (random.once(64)) return wrap(input, random);
    if (random.once(6)) return mutateOctets(input, other, random);
    const tree = isObject(input) ? mutateTlv(input, other, random) : undefined;
    return tree ?? mutateMail(input, other, random);
  },
  async run(input) {
    check(await show(input));
  },
};
