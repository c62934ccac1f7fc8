// Section `telemetry`: where traces go. Metrics need nothing: each process shows them on its own port.

import * as z from 'zod';
import type { Section } from './values.ts';

export const telemetry = z
  .strictObject({
    otlpUrl: z
      .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
      .optional()
      .describe('Where traces are sent (OTLP over HTTP), `http://127.0.0.1:4318/v1/traces`; left out: nowhere'),
    sampleRatio: z
      .number()
      .min(0)
      .max(1)
      .default(1)
      .describe('Share of messages that are traced; a message is traced in every process or in none'),
  })
  .prefault({});

export type TelemetryConfig = Section<typeof telemetry>;
