// `X-Sealpost-Result`: what the gateway found out about an S/MIME mail, for mail clients' rules and for people. Grammar and meaning
// of every word: docs/result-header.md. Nothing in it comes from the mail unescaped.

import type { SignerVerdict, Verdict } from '@sealpost/smime';

const resultField = 'X-Sealpost-Result';

/** One word for the whole mail. */
export type ResultWord = 'verified' | 'unverified' | 'unsigned' | 'undecryptable' | 'broken';

export interface Result {
  readonly word: ResultWord;
  readonly verdict: Verdict;
}

/** Lines are folded before this column (RFC 5322 §2.1.1). */
const lineLength = 78;

/** The word for content that could be read. */
export function wordOf(verdict: Verdict): ResultWord {
  if (verdict.verified) return 'verified';
  return verdict.signed || verdict.signers.length > 0 ? 'unverified' : 'unsigned';
}

/** The field without its line end. */
export function resultHeader({ word, verdict }: Result): string {
  const signer = signerShown(verdict);
  const items = [
    'v=1',
    `result=${word}`,
    `encrypted=${yesOrNo(word === 'undecryptable' || verdict.encrypted)}`,
    `signed=${yesOrNo(verdict.signed)}`,
    ...(verdict.signed ? [`from=${verdict.from.match ? 'match' : 'mismatch'}`] : []),
    ...(signer === undefined ? [] : [`signer=${escaped(signer)}`]),
    ...(verdict.problem === undefined ? [] : [`problem=${verdict.problem}`]),
    ...(verdict.weaknesses.length === 0 ? [] : [`weak=${verdict.weaknesses.join(',')}`]),
  ];
  let header = `${resultField}: `;
  let column = header.length;
  items.forEach((item, index) => {
    const text = index < items.length - 1 ? `${item};` : item;
    if (index > 0 && column + 1 + text.length > lineLength) {
      header += `\r\n\t${text}`;
      column = 8 + text.length;
    } else {
      header += index > 0 ? ` ${text}` : text;
      column += 1 + text.length;
    }
  });
  return header;
}

/** Whose signature it is, where it holds and its certificate is trusted, whatever the From says. */
function signerShown({ signers }: Verdict): string | undefined {
  const isProven = ({ integrity, path }: SignerVerdict): boolean => integrity === 'valid' && path?.ok === true;
  const shown = signers.find(({ verified }) => verified) ?? signers.find(isProven);
  return shown?.certificate?.addresses[0];
}

/** A certificate may hold anything under the name of an address: only what cannot end the word or the line stays. */
function escaped(address: string): string {
  return Buffer.from(address)
    .toString('latin1')
    .replace(/[^A-Za-z0-9@.!#$&'*+/=?^_`{|}~-]/g, (character) => {
      return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
    });
}

function yesOrNo(value: boolean): 'yes' | 'no' {
  return value ? 'yes' : 'no';
}
