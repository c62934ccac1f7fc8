// Processor time of a message as it was measured, on one machine with 2 cores of a cloud server that did nothing else. Outbound:
// `npm run bench -- pipeline` (signed and encrypted, RSA-2048 and AES-256, one recipient; 4, 77 and 500 KB); inbound: `bench -- latency`
// at half of the capacity (decrypted and verified). Straight lines through these. Other processors are faster or slower:
// `--from-prometheus` takes an installation's own times.

import { type Part, parts, type ServiceTimes } from './forecast.ts';

/** Milliseconds for a message, and for each kilobyte (1,000 bytes) of it. */
type Cost = readonly [message: number, kilobyte: number];

const recorded: Readonly<Record<'outbound' | 'inbound', Readonly<Record<Part, Cost>>>> = {
  outbound: {
    ingress: [0.8, 0.009],
    redis: [0.9, 0.0006],
    'crypto-worker': [2.2, 0.015],
    egress: [1.4, 0.01],
  },
  inbound: {
    ingress: [1.1, 0.012],
    redis: [1.6, 0.002],
    'crypto-worker': [2.8, 0.016],
    egress: [1.4, 0.007],
  },
};

/** Mean seconds for mail of a mean size, of which a share of 0 to 1 is outbound. */
export function recordedTimes(bytes: number, outbound: number): ServiceTimes {
  const of = (direction: 'outbound' | 'inbound', part: Part): number => {
    const [message, kilobyte] = recorded[direction][part];
    return (message + (kilobyte * bytes) / 1000) / 1000;
  };
  const mean = (part: Part): number => outbound * of('outbound', part) + (1 - outbound) * of('inbound', part);
  return Object.fromEntries(parts.map((part) => [part, mean(part)])) as Record<Part, number>;
}
