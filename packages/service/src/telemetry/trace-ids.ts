// Where no collector takes spans, none are made: what is left of a trace is the id that the log lines of one message share in all
// processes (W3C Trace Context, https://www.w3.org/TR/trace-context/). Spans cost several percent of the processor, these nothing.

import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import type { TraceContext } from '@sealpost/core';
import type { Traces } from './tracer.ts';

/** Version, trace, parent, flags (§3.2); a trace of zeros only is none. */
const form = /^00-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})$/;

export function traceIds(): Traces {
  const contexts = new AsyncLocalStorage<TraceContext>();
  return {
    span(_name, _attributes, run, { parent } = {}) {
      const work = () => run(() => undefined);
      if (parent === undefined && contexts.getStore()) return work();
      return contexts.run(next(parent), work);
    },
    current: () => contexts.getStore(),
    close: async () => contexts.disable(),
  };
}

/** This process's part of the trace that the parent names, or the beginning of another. */
function next(parent: TraceContext | 'none' | undefined): TraceContext {
  const span = randomBytes(8).toString('hex');
  const [, trace, flags] = (typeof parent === 'object' && form.exec(parent.traceparent)) || [];
  const traceparent = `00-${trace ?? randomBytes(16).toString('hex')}-${span}-${flags ?? '00'}`;
  const tracestate = trace !== undefined && typeof parent === 'object' ? parent.tracestate : undefined;
  return tracestate === undefined ? { traceparent } : { traceparent, tracestate };
}
