// A pipeline is a table of named steps that return new values. This one wrapper gives each step its span, its time and the
// class of its error, so that the steps hold nothing but their own idea.

import { codeOf } from '@sealpost/core';
import type { SpanAttributes, SpanName } from './telemetry/attributes.ts';
import type { SpanOptions, Telemetry } from './telemetry/telemetry.ts';

export interface Step<State, Next = State> {
  readonly name: SpanName;
  /** For a step that hands work to another process. */
  readonly kind?: SpanOptions['kind'];
  /** What its span says of the state that it begins with. */
  attributes?(state: State): SpanAttributes;
  run(state: State): Promise<Next> | Next;
}

/** The pipeline as one function, of steps of which each one adds to the state's type. Errors are counted and thrown on. */
export function steps<A, B, C>(
  telemetry: Telemetry,
  table: readonly [Step<A, B>, Step<B, C>],
): (state: A) => Promise<C>;
export function steps<A, B, C, D>(
  telemetry: Telemetry,
  table: readonly [Step<A, B>, Step<B, C>, Step<C, D>],
): (state: A) => Promise<D>;
export function steps<A, B, C, D, E, F>(
  telemetry: Telemetry,
  table: readonly [Step<A, B>, Step<B, C>, Step<C, D>, Step<D, E>, Step<E, F>],
): (state: A) => Promise<F>;
/**
 * The same for steps on one type of state. After a step for whose state `isDone` holds, the rest is left out.
 * Errors are counted by step and code and thrown on.
 */
export function steps<State>(
  telemetry: Telemetry,
  table: readonly Step<State>[],
  isDone?: (state: State) => boolean,
): (state: State) => Promise<State>;
export function steps(
  telemetry: Telemetry,
  table: readonly Step<unknown>[],
  isDone: (state: unknown) => boolean = () => false,
): (state: unknown) => Promise<unknown> {
  return async (first) => {
    let state = first;
    for (const step of table) {
      if (isDone(state)) break;
      state = await measured(telemetry, step, state);
    }
    return state;
  };
}

async function measured(telemetry: Telemetry, step: Step<unknown>, state: unknown): Promise<unknown> {
  const { name, kind } = step;
  const started = performance.now();
  try {
    return await telemetry.span(name, step.attributes?.(state) ?? {}, async () => step.run(state), { kind });
  } catch (error) {
    telemetry.count('sealpost_step_errors_total', { step: name, code: codeOf(error) });
    throw error;
  } finally {
    telemetry.observe('sealpost_step_seconds', (performance.now() - started) / 1_000, { step: name });
  }
}
