// The text of a configuration file as YAML 1.2: its value with the variables filled in, and where in the text each key stands. What
// YAML offers beyond plain data (aliases, tags, several documents) is refused: a file must be what it looks like.

import { isAlias, isMap, isNode, isPair, isScalar, isSeq, LineCounter, type Pair, parseDocument, visit } from 'yaml';
import { type Environment, fillIn } from './environment.ts';

/** Keys and indices from the top. */
export type KeyPath = readonly (string | number)[];

export interface Place {
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 code units. */
  readonly column: number;
  /** Variables of the environment that the value was made of. */
  readonly variables?: readonly string[];
}

export interface YamlText {
  readonly value: unknown;
  /** Where the value at a path stands, or its key where the value is a section; the nearest one above where it is missing. */
  placeOf(path: KeyPath, aboutKey?: boolean): Place | undefined;
}

/** The text is not the YAML that is wanted. */
export class YamlFault extends Error {
  readonly place: Place | undefined;

  constructor(text: string, place?: Place) {
    super(text);
    this.place = place;
  }
}

/** A binary file, or text in another encoding, has these; YAML allows none of them (YAML 1.2 §5.1). */
const controls = /[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u;

/** Errors: YamlFault. */
export function readYaml(text: string, environment: Environment): YamlText {
  const lines = new LineCounter();
  const placeAt = (offset = 0): Place => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const used = new Map<unknown, readonly string[]>();
  try {
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
    const control = text.search(controls);
    if (control >= 0) throw new YamlFault('a control character: this is not a text file', placeAt(control));
    // A warning is a tag that the reader does not know: what it would become is anybody's guess.
    const [wrong] = [...document.errors, ...document.warnings];
    // Behind the colon some of the library's sentences repeat the text.
    if (wrong) throw new YamlFault(wrong.message.replace(/:.*$/s, ''), placeAt(wrong.pos[0]));
    visit(document, {
      Node(_, node) {
        // Aliases repeat what they name: nine lines of them make a billion items.
        if (isAlias(node)) throw new YamlFault('anchors and aliases are not allowed', placeAt(node.range?.[0]));
      },
      Scalar(at, node) {
        if (at === 'key' || typeof node.value !== 'string') return;
        const filled = fillIn(node.value, node.type !== 'PLAIN', environment);
        if ('problem' in filled) throw new YamlFault(filled.problem, placeAt(node.range?.[0]));
        node.value = filled.value;
        if (filled.variables.length > 0) used.set(node, filled.variables);
      },
      Pair(_, { key }) {
        const place = placeAt(offsetOf(key));
        if (!isScalar(key)) throw new YamlFault('a key must be a plain text', place);
        if (key.value === '__proto__') throw new YamlFault('the key "__proto__" is not allowed', place);
      },
    });
    return {
      value: document.toJS({ maxAliasCount: 0 }),
      placeOf(path, aboutKey = false) {
        const { key, value } = find(document.contents, path);
        const isPlain = isScalar(value) && value.value !== null;
        const offset = offsetOf(key !== undefined && (aboutKey || !isPlain) ? key : value);
        if (offset === undefined) return undefined;
        const variables = used.get(value);
        return { ...placeAt(offset), ...(variables === undefined ? {} : { variables }) };
      },
    };
  } catch (error) {
    if (error instanceof YamlFault) throw error;
    throw new YamlFault('is not YAML that can be read');
  }
}

interface Found {
  readonly key: unknown;
  readonly value: unknown;
}

/** Down the path as far as it goes. */
function find(top: unknown, path: KeyPath): Found {
  let found: Found = { key: undefined, value: top };
  for (const step of path) {
    const next = below(found.value, step);
    if (next === undefined) return found;
    found = next;
  }
  return found;
}

function below(node: unknown, step: string | number): Found | undefined {
  if (isSeq(node)) {
    const value = node.items[Number(step)];
    return value === undefined ? undefined : { key: undefined, value };
  }
  if (!isMap(node)) return undefined;
  return node.items.find((pair): pair is Pair => isPair(pair) && isScalar(pair.key) && String(pair.key.value) === step);
}

function offsetOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}
