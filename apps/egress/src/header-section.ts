// The outer header section of a message (RFC 5322 §2.1, §2.2), read as far as a relay has to: how often a field stands there and
// what one says. Bytes are taken as Latin-1, so nothing is lost and nothing is decoded.

const blankLine = Buffer.from('\r\n\r\n');

/** Everything before the first empty line, the last field's CRLF included; the whole message where there is no body. */
export function headerSection(message: Buffer): Buffer {
  if (message.subarray(0, 2).equals(blankLine.subarray(0, 2))) return message.subarray(0, 0);
  const end = message.indexOf(blankLine);
  return end < 0 ? message : message.subarray(0, end + 2);
}

/** Unfolded values of the fields with this name (given in any case), in order. */
export function fieldValues(section: Buffer, name: string): string[] {
  const wanted = name.toLowerCase();
  return section
    .toString('latin1')
    .split(/\r\n(?![ \t])/)
    .map((field) => ({ field, colon: field.indexOf(':') }))
    .filter(({ field, colon }) => field.slice(0, Math.max(colon, 0)).trimEnd().toLowerCase() === wanted)
    .map(({ field, colon }) =>
      field
        .slice(colon + 1)
        .replace(/\r\n/g, '')
        .trim(),
    );
}
