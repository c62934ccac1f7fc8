// Section `queue`: how long mail may wait, and the limits of the quarantine.

import * as z from 'zod';
import { count, type Section } from './values.ts';

export const queue = z
  .strictObject({
    maxAgeHours: count(1, 24 * 30)
      .default(120)
      .describe('Longest time that mail is tried (RFC 5321 §4.5.4.1)'),
    quarantine: z
      .strictObject({
        days: count(1, 365).default(30).describe('After this many days an entry ends with its mail'),
        maxMessages: count(1).default(10_000).describe('Most entries'),
        maxBytes: count(1)
          .default(10 * 1024 ** 3)
          .describe('Most bytes of sealed mail'),
      })
      .prefault({}),
  })
  .prefault({});

export type QueueConfig = Section<typeof queue>;

const hourMs = 60 * 60_000;

/** The longest that a message can be in the queue: tried to the end, then set aside, then released. Tickets hold this long. */
export function ticketLifeMs({ maxAgeHours, quarantine }: QueueConfig): number {
  return maxAgeHours * hourMs + quarantine.days * 24 * hourMs;
}
