// Tags in the subject: forged ones out, ours in. A forged tag may hide in encoded words (RFC 2047), in folds, in odd case or behind
// invisible characters, so the subject is compared as a reader would see it.

/** Longest first line that a tag is put into; beyond it the field is folded after the tag (RFC 5322 §2.1.1 allows 998). */
const maxTaggedLine = 900;
/** UTF-8 bytes of one encoded word: with its frame and the field name, a line of at most 76 characters (RFC 2047 §2). */
const encodedWordBytes = 39;

/** A Subject field, `raw` with its line end, without any of the tags; the same bytes where it has none. */
export function withoutTags(raw: Buffer, value: string, tags: readonly string[]): Buffer {
  const patterns = tags.map(visible).filter((tag) => tag !== '');
  const shown = visible(decodeWords(value));
  let text = shown;
  for (let before = ''; before !== text; ) {
    before = text;
    // Again until nothing is left: taking one out may put another together.
    for (const tag of patterns) text = removeAll(text, tag);
  }
  return text === shown ? raw : Buffer.from(`Subject: ${encodeWords(text.trim())}\r\n`);
}

/** A Subject field with the tag in front of its text; the text stays byte for byte. */
export function withTag(raw: Buffer, tag: string): Buffer {
  const start = raw.indexOf(':') + 1;
  const rest = raw.subarray(start);
  const first = rest.indexOf('\r\n');
  const glue = first > maxTaggedLine ? '\r\n' : '';
  const gap = rest[0] === 0x20 || rest[0] === 0x09 ? '' : ' ';
  return Buffer.concat([Buffer.from(`Subject: ${encodeWords(tag)}${glue}${gap}`), rest]);
}

function removeAll(text: string, tag: string): string {
  const lower = text.toLowerCase();
  const wanted = tag.toLowerCase();
  // Lower case may change lengths outside ASCII; then compare as written.
  if (lower.length !== text.length || wanted.length !== tag.length) return text.replaceAll(tag, '');
  let rest = '';
  let from = 0;
  for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, from)) {
    rest += text.slice(from, at);
    from = at + wanted.length;
  }
  return rest + text.slice(from);
}

/** Compatibility forms joined, invisible and control characters out, white space as one blank. */
function visible(text: string): string {
  return text
    .normalize('NFKC')
    .replace(/[\p{Cf}\p{Cc}]/gu, '')
    .replace(/\s+/gu, ' ')
    .trim();
}

/** Encoded words of an unstructured field as text; those that cannot be read stay as they are. */
function decodeWords(value: string): string {
  return value
    .replace(/(=\?[^?\s]+\?[bq]\?[^?]*\?=)\s+(?==\?[^?\s]+\?[bq]\?)/gi, '$1')
    .replace(/=\?([^?\s]+)\?([bq])\?([^?]*)\?=/gi, (word, charset: string, encoding: string, text: string) => {
      const bytes = encoding.toLowerCase() === 'b' ? Buffer.from(text, 'base64') : quoted(text);
      try {
        return new TextDecoder(charset.replace(/\*.*$/, '')).decode(bytes);
      } catch {
        return word;
      }
    });
}

function quoted(text: string): Buffer {
  const octets = text
    .replace(/_/g, ' ')
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(octets, 'latin1');
}

/** As it is where ASCII and short, else as encoded words on lines of their own. */
function encodeWords(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text) && text.length <= maxTaggedLine && !text.includes('=?')) return text;
  const words: string[] = [];
  let word = '';
  for (const character of text) {
    if (Buffer.byteLength(word + character) > encodedWordBytes) {
      words.push(word);
      word = '';
    }
    word += character;
  }
  words.push(word);
  return words.map((each) => `=?utf-8?b?${Buffer.from(each).toString('base64')}?=`).join('\r\n ');
}
