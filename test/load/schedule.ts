// When each message of a load is due and how large it is, decided before anything is sent: an open loop. What a slow system does to
// the messages behind is then part of their latency, and is not hidden by a sender that waits for it (coordinated omission).

import { toBytes } from '../../apps/cli/src/plan/quantities.ts';

/** A share of the messages, 0 to 1, that have this size. */
export interface SizeShare {
  readonly bytes: number;
  readonly share: number;
}

export interface Load {
  /** Messages a second, in the mean. */
  readonly rate: number;
  readonly seconds: number;
  readonly sizes: readonly SizeShare[];
  /** `poisson`: independent senders, what queueing models assume; `even`: one after the other in equal steps. */
  readonly arrivals: 'poisson' | 'even';
}

export interface Due {
  /** Milliseconds after the start. */
  readonly at: number;
  readonly bytes: number;
}

/** The messages of a load in order. `random` gives numbers from 0 to 1, 1 left out. */
export function schedule({ rate, seconds, sizes, arrivals }: Load, random: () => number): Due[] {
  const due: Due[] = [];
  const stepMs = 1000 / rate;
  const gap = arrivals === 'even' ? () => stepMs : () => -Math.log(1 - random()) * stepMs;
  for (let at = gap(); at < seconds * 1000; at += gap()) due.push({ at, bytes: pick(sizes, random()) });
  return due;
}

/** `77KB`, or `4KB=0.7,77KB=0.25,500KB=0.05`; units of 1,000 bytes. Undefined for anything else. */
export function parseSizes(text: string): SizeShare[] | undefined {
  const parts = text.split(',').map((part) => {
    const [, size = '', share = '1'] = /^([^=]+)(?:=(\d*\.?\d+))?$/.exec(part) ?? [];
    return { bytes: bytesOf(size), share: Number(share) };
  });
  const sum = parts.reduce((total, { share }) => total + share, 0);
  const isGood = parts.every(({ bytes, share }) => bytes > 0 && share > 0) && Math.abs(sum - 1) < 0.001;
  return isGood ? parts : undefined;
}

/** NaN for what is no size. */
function bytesOf(text: string): number {
  try {
    return Math.round(toBytes(text));
  } catch {
    return Number.NaN;
  }
}

function pick(sizes: readonly SizeShare[], at: number): number {
  let reached = 0;
  for (const { bytes, share } of sizes) {
    reached += share;
    if (at < reached) return bytes;
  }
  return sizes.at(-1)?.bytes ?? 0;
}
