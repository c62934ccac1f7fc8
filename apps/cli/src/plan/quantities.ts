// Quantities as people write them on a command line.

import { InvalidArgumentError } from 'commander';

/** `300/s`, `5000/min`, `20000/h`, `1000000/d`: in a second. */
export function toRate(text: string): number {
  return quantity(text, { '/s': 1, '/min': 1 / 60, '/h': 1 / 3_600, '/d': 1 / 86_400 }, '300/s or 20000/h');
}

/** `80KB`, `1.5MB`, `900B`: bytes; units of 1,000. */
export function toBytes(text: string): number {
  return quantity(text, { B: 1, KB: 1e3, MB: 1e6 }, '80KB or 1.5MB');
}

/** `2s`, `500ms`, `1min`: seconds. */
export function toSeconds(text: string): number {
  return quantity(text, { ms: 1e-3, s: 1, min: 60 }, '2s or 500ms');
}

/** `outbound=0.7`: the share that is outbound; `inbound=0.3` means the same. */
export function toMix(text: string): number {
  const [, direction, digits] = /^(outbound|inbound)=(\d+(?:\.\d+)?)$/.exec(text) ?? [];
  const share = Number(digits);
  if (!(share >= 0 && share <= 1)) throw new InvalidArgumentError('Write it as outbound=0.7.');
  return direction === 'outbound' ? share : 1 - share;
}

/** Whole processor cores. */
export function toCores(text: string): number {
  const value = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (value < 1) throw new InvalidArgumentError('Write a whole number from 1 up.');
  return value;
}

/** cs², from 0 up. */
export function toVariability(text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= 100)) throw new InvalidArgumentError('Write a number from 0 (always the same) to 100.');
  return value;
}

function quantity(text: string, units: Readonly<Record<string, number>>, example: string): number {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)(\S+)$/.exec(text) ?? [];
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
  const value = Number(digits) * (factor ?? Number.NaN);
  if (!(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError(`Write it as ${example}.`);
  return value;
}
