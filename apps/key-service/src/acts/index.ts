// Every act under dual control.

import type { Act } from './act.ts';
import { type ActName, actNames } from './names.ts';
import { policyChange } from './policy-change.ts';

const acts: { readonly [N in ActName]: unknown } = {
  'policy-change': policyChange,
};

/** The act of this name, if there is one. Its parameters pass its own form before anything else of it sees them. */
export function actOf(name: string): Act<unknown> | undefined {
  return actNames.includes(name as ActName) ? (acts[name as ActName] as Act<unknown>) : undefined;
}
