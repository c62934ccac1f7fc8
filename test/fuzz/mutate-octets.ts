// Changes to octets without any idea of what they mean.

import type { Random } from './random.ts';

/** Values at which lengths, counts and padding go wrong. */
const EDGES = [
  0x00, 0x01, 0x02, 0x03, 0x7f, 0x80, 0x81, 0x82, 0x84, 0x88, 0xa0, 0xff, 0x0a, 0x0d, 0x20, 0x22, 0x2d, 0x30, 0x3d,
];

type Change = (input: Buffer, other: Buffer, random: Random) => Buffer;

const changes: readonly Change[] = [
  function flip(input, _, random) {
    const out = Buffer.from(input);
    const at = random.below(out.length);
    out[at] = (out[at] ?? 0) ^ (1 << random.below(8));
    return out;
  },
  function overwrite(input, _, random) {
    const out = Buffer.from(input);
    out[random.below(out.length)] = random.once(2) ? random.pick(EDGES) : random.below(256);
    return out;
  },
  function step(input, _, random) {
    const out = Buffer.from(input);
    const at = random.below(out.length);
    out[at] = ((out[at] ?? 0) + random.below(9) - 4) & 0xff;
    return out;
  },
  function insert(input, _, random) {
    const at = random.below(input.length + 1);
    const octets = Buffer.alloc(1 + random.below(random.once(8) ? 600 : 4), random.pick(EDGES));
    return Buffer.concat([input.subarray(0, at), octets, input.subarray(at)]);
  },
  function remove(input, _, random) {
    const [start, end] = random.span(input.length);
    return Buffer.concat([input.subarray(0, start), input.subarray(end)]);
  },
  function repeat(input, _, random) {
    const [start, end] = random.span(input.length);
    const times = random.once(16) ? 2 + random.below(200) : 2;
    const part = Array.from({ length: times }, () => input.subarray(start, end));
    return Buffer.concat([input.subarray(0, start), ...part, input.subarray(end)]);
  },
  function move(input, _, random) {
    const [start, end] = random.span(input.length);
    const rest = Buffer.concat([input.subarray(0, start), input.subarray(end)]);
    const at = random.below(rest.length + 1);
    return Buffer.concat([rest.subarray(0, at), input.subarray(start, end), rest.subarray(at)]);
  },
  function truncate(input, _, random) {
    return input.subarray(0, random.below(input.length));
  },
  function splice(input, other, random) {
    const [start, end] = random.span(other.length);
    const at = random.below(input.length + 1);
    return Buffer.concat([
      input.subarray(0, at),
      other.subarray(start, end),
      input.subarray(random.once(2) ? at : Math.min(input.length, at + end - start)),
    ]);
  },
];

export function mutateOctets(input: Buffer, other: Buffer, random: Random): Buffer {
  return random.pick(changes)(input, other, random);
}
