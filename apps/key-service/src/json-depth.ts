// How deeply a request is nested, before it is parsed: no operation takes more than a few levels, and what walks a parsed value walks
// it by calling itself.

const maxDepth = 24;

/** Whether JSON text has no more levels than any operation takes. Text that is no JSON may be either. */
export function isShallow(text: string): boolean {
  // Most requests are a few names and long base64, which holds no bracket: too few of them cannot nest too deeply.
  if (openings(text) <= maxDepth) return true;
  let depth = 0;
  let isString = false;
  for (let at = 0; at < text.length; at++) {
    const sign = text.charCodeAt(at);
    if (isString) {
      if (sign === 0x5c) at += 1;
      else if (sign === 0x22) isString = false;
    } else if (sign === 0x22) isString = true;
    else if (sign === 0x5b || sign === 0x7b) {
      depth += 1;
      if (depth > maxDepth) return false;
    } else if (sign === 0x5d || sign === 0x7d) depth -= 1;
  }
  return true;
}

function openings(text: string): number {
  let count = 0;
  for (const sign of ['[', '{']) {
    for (let at = text.indexOf(sign); at >= 0 && count <= maxDepth; at = text.indexOf(sign, at + 1)) count += 1;
  }
  return count;
}
