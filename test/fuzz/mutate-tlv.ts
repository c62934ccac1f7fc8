// Changes to BER as a tree (X.690 §8): elements dropped, doubled, exchanged, re-encoded. Lengths around the change are mended, unless
// the change is to break one. Strings that hold BER again are part of the tree.

import { oid } from '../../packages/smime/src/pki/der-write.ts';
import { mutateOctets } from './mutate-octets.ts';
import type { Random } from './random.ts';

interface Node {
  tag: number;
  /** Octets in front of the children, as in a BIT STRING. */
  prefix: Buffer;
  children: Node[] | undefined;
  content: Buffer;
  /** How the length is written. */
  length: 'minimal' | 'indefinite' | 'padded' | 'wrong';
}

const MAX_NODES = 3000;
const MAX_DEPTH = 24;
const MAX_REPEATED = 1 << 20;
const [BIT_STRING, OCTET_STRING, INTEGER, OID] = [0x03, 0x04, 0x02, 0x06];
const END = Buffer.of(0, 0);

const TAGS = [
  0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0a, 0x0c, 0x13, 0x16, 0x17, 0x18, 0x1e, 0x24, 0x30, 0x31, 0x80, 0x81, 0x82,
  0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0x1f, 0x00,
];
const NUMBERS = [
  '00',
  '01',
  '02',
  '03',
  '7f',
  '0080',
  '00ff',
  '0100',
  'ff',
  '80',
  '7fffffff',
  '00ffffffff',
  '7fffffffffffffff',
  '',
].map((hex) => Buffer.from(hex, 'hex'));
const OIDS = [
  ...[1, 2, 3, 5, 6].map((type) => `1.2.840.113549.1.7.${type}`),
  ...['1.9', '1.23', '1.2', '3.8', '3.9', '3.18', '3.28', '13.3', '2.12', '2.47'].map(
    (end) => `1.2.840.113549.1.9.16.${end}`,
  ),
  ...[3, 4, 5, 6, 15, 52].map((end) => `1.2.840.113549.1.9.${end}`),
  ...[1, 4, 5, 7, 8, 10, 11, 13].map((end) => `1.2.840.113549.1.1.${end}`),
  ...[2, 5, 6, 7, 42, 45, 46].map((end) => `2.16.840.1.101.3.4.1.${end}`),
  ...[1, 2, 3, 8, 11, 12].map((end) => `2.16.840.1.101.3.4.2.${end}`),
  ...[14, 15, 17, 19, 27, 28, 29, 30, 31, 32, 33, 35, 36, 37, 46, 54].map((end) => `2.5.29.${end}`),
  ...[
    '1.3.101.110',
    '1.3.101.112',
    '1.3.101.113',
    '1.2.840.10045.2.1',
    '1.2.840.10045.3.1.7',
    '1.2.840.10045.4.3.2',
    '1.3.14.3.2.26',
  ],
  ...[
    '1.2.840.113549.3.2',
    '1.2.840.113549.3.7',
    '1.3.132.1.11.1',
    '1.2.840.10040.4.1',
    '1.3.6.1.5.5.7.8.9',
    '1.3.6.1.5.5.7.3.4',
  ],
].map((dotted) => oid(dotted).subarray(2));

/** The input as elements, or undefined when it is none at all. */
function parse(bytes: Buffer, depth: number, count: { left: number }): Node[] | undefined {
  const nodes: Node[] = [];
  for (let at = 0; at < bytes.length; ) {
    const read = readOne(bytes, at, depth, count);
    if (read === undefined) return undefined;
    nodes.push(read.node);
    at = read.end;
  }
  return nodes;
}

function readOne(
  bytes: Buffer,
  at: number,
  depth: number,
  count: { left: number },
): { node: Node; end: number } | undefined {
  const [tag, first] = [bytes[at], bytes[at + 1]];
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f || depth > MAX_DEPTH || count.left-- < 0)
    return undefined;
  if (first === 0x80) return readIndefinite(bytes, at, depth, count);
  let [start, length] = [at + 2, first];
  if (first > 0x80) {
    const octets = first & 0x7f;
    if (octets > 4 || start + octets > bytes.length) return undefined;
    length = bytes.readUIntBE(start, octets);
    start += octets;
  }
  const end = start + length;
  if (end > bytes.length) return undefined;
  return { node: nodeOf(tag, bytes.subarray(start, end), depth, count), end };
}

function readIndefinite(
  bytes: Buffer,
  at: number,
  depth: number,
  count: { left: number },
): { node: Node; end: number } | undefined {
  const tag = bytes[at] ?? 0;
  const children: Node[] = [];
  let next = at + 2;
  while (bytes[next] !== 0 || bytes[next + 1] !== 0) {
    const read = readOne(bytes, next, depth + 1, count);
    if (read === undefined) return undefined;
    children.push(read.node);
    next = read.end;
  }
  return {
    node: { tag, prefix: Buffer.alloc(0), children, content: Buffer.alloc(0), length: 'indefinite' },
    end: next + 2,
  };
}

function nodeOf(tag: number, content: Buffer, depth: number, count: { left: number }): Node {
  const inBits = tag === BIT_STRING && content[0] === 0 && (content[1] ?? 0) === 0x30;
  const holds =
    (tag & 0x20) !== 0 ||
    inBits ||
    ((tag === OCTET_STRING || tag === 0x80) && [0x30, 0x31, 0x04, 0x03].includes(content[0] ?? 0));
  const prefix = inBits ? content.subarray(0, 1) : Buffer.alloc(0);
  const children = holds ? parse(content.subarray(prefix.length), depth + 1, count) : undefined;
  return { tag, prefix, children, content, length: 'minimal' };
}

function write(node: Node): Buffer {
  const content =
    node.children === undefined ? node.content : Buffer.concat([node.prefix, ...node.children.map(write)]);
  const tag = Buffer.of(node.tag);
  if (node.length === 'indefinite') return Buffer.concat([Buffer.of(node.tag | 0x20, 0x80), content, END]);
  if (node.length === 'padded') return Buffer.concat([tag, lengthOctets(content.length, 4), content]);
  if (node.length === 'wrong') return Buffer.concat([tag, lengthOctets(content.length + 1, 1), content]);
  return Buffer.concat([tag, lengthOctets(content.length, 0), content]);
}

function lengthOctets(length: number, atLeast: number): Buffer {
  if (length < 0x80 && atLeast === 0) return Buffer.of(length);
  const octets = Math.max(atLeast, length < 0x100 ? 1 : length < 0x10000 ? 2 : length < 0x1000000 ? 3 : 4);
  const out = Buffer.alloc(1 + octets);
  out[0] = 0x80 | octets;
  out.writeUIntBE(length, 1, octets);
  return out;
}

/** To be put into the tree again: a copy, for else a tree could hold itself. */
function copy(node: Node): Node {
  return node.children === undefined ? { ...node } : { ...node, children: node.children.map(copy) };
}

/** The same octets as one leaf, of which a thousand cost nothing. */
function opaque(node: Node): Node {
  const { tag, children, prefix } = node;
  if (children === undefined) return { ...node };
  return {
    tag,
    prefix: Buffer.alloc(0),
    children: undefined,
    content: Buffer.concat([prefix, ...children.map(write)]),
    length: 'minimal',
  };
}

interface Place {
  readonly node: Node;
  readonly siblings: Node[];
  readonly index: number;
}

function places(roots: Node[]): Place[] {
  const found: Place[] = [];
  const walk = (siblings: Node[]): void => {
    siblings.forEach((node, index) => {
      found.push({ node, siblings, index });
      if (node.children !== undefined) walk(node.children);
    });
  };
  walk(roots);
  return found;
}

type Change = (place: Place, others: readonly Place[], random: Random, octets: Buffer) => void;

const changes: readonly Change[] = [
  function drop({ siblings, index }) {
    siblings.splice(index, 1);
  },
  function double({ siblings, index, node }, _, random) {
    const again = opaque(node);
    const wanted = random.once(24) ? random.pick([16, 17, 64, 129, 200, 1000]) : 1;
    // One thousand of one thousand would take the memory of the machine.
    const times = Math.min(wanted, Math.floor(MAX_REPEATED / (again.content.length + 1)));
    siblings.splice(index, 0, ...Array.from({ length: times }, () => again));
  },
  function exchange({ siblings, index, node }, _, random) {
    const with_ = random.below(siblings.length);
    siblings[index] = siblings[with_] ?? node;
    siblings[with_] = node;
  },
  function replace({ siblings, index, node }, others, random) {
    const alike = others.filter((other) => other.node.tag === node.tag);
    siblings[index] = copy((alike.length > 0 && !random.once(4) ? random.pick(alike) : random.pick(others)).node);
  },
  function insert({ siblings, index }, others, random) {
    siblings.splice(index, 0, copy(random.pick(others).node));
  },
  function retag({ node }, _, random) {
    node.tag = random.once(3) ? node.tag ^ 0x20 : random.pick(TAGS);
  },
  function change({ node }, _, random, octets) {
    if (node.tag === INTEGER && random.once(2)) node.content = random.pick(NUMBERS);
    else if (node.tag === OID && !random.once(4)) node.content = random.pick(OIDS);
    else if (node.children === undefined && node.content.length > 0)
      node.content = mutateOctets(node.content, octets, random);
    else node.length = random.pick(['indefinite', 'padded', 'wrong']);
  },
  function empty({ node }) {
    node.content = Buffer.alloc(0);
    node.children = undefined;
  },
  function reencode({ node }, _, random) {
    node.length = random.pick(['indefinite', 'indefinite', 'padded']);
  },
  /** One string as several. */
  function cut({ node }, _, random) {
    if (node.children !== undefined) return;
    const at = random.below(node.content.length + 1);
    const piece = (content: Buffer): Node => ({
      tag: OCTET_STRING,
      prefix: Buffer.alloc(0),
      children: undefined,
      content,
      length: 'minimal',
    });
    node.tag |= 0x20;
    node.children = [piece(node.content.subarray(0, at)), piece(node.content.subarray(at))];
    if (random.once(2)) node.length = 'indefinite';
  },
  function nest({ node, siblings, index }, _, random) {
    let inner = node;
    const depth = random.once(8) ? 70 : 1 + random.below(3);
    const tag = random.pick([node.tag | 0x20, 0x30, 0x24, 0xa0]);
    for (let level = 0; level < depth; level++) {
      inner = {
        tag,
        prefix: Buffer.alloc(0),
        children: [inner],
        content: Buffer.alloc(0),
        length: random.once(3) ? 'indefinite' : 'minimal',
      };
    }
    siblings[index] = inner;
  },
];

/** Undefined when the input is not BER. */
export function mutateTlv(input: Buffer, other: Buffer, random: Random): Buffer | undefined {
  const roots = parse(input, 0, { left: MAX_NODES });
  const others = places(parse(other, 0, { left: MAX_NODES }) ?? []);
  if (roots === undefined || roots.length === 0) return undefined;
  for (let times = 1 + random.below(3); times > 0; times--) {
    const all = places(roots);
    if (all.length > 0) random.pick(changes)(random.pick(all), others.length > 0 ? others : all, random, other);
  }
  return Buffer.concat(roots.map(write));
}
