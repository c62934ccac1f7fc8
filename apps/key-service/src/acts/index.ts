// Every act under dual control.

import type { Act } from './act.ts';
import { breakGlassDecrypt } from './break-glass-decrypt.ts';
import { kekRotate } from './kek-rotate.ts';
import { keyDestroy } from './key-destroy.ts';
import { keyExport } from './key-export.ts';
import { type ActName, actNames } from './names.ts';
import { factorReset, personAdd, personRemove, personRenew } from './person.ts';
import { policyChange } from './policy-change.ts';
import { slotAdd, slotRemove, slotRotate } from './slots.ts';

const acts: { readonly [N in ActName]: unknown } = {
  'break-glass-decrypt': breakGlassDecrypt,
  'policy-change': policyChange,
  'key-destroy': keyDestroy,
  'key-export': keyExport,
  'kek-rotate': kekRotate,
  'slot-add': slotAdd,
  'slot-remove': slotRemove,
  'slot-rotate': slotRotate,
  'person-add': personAdd,
  'person-renew': personRenew,
  'person-remove': personRemove,
  'factor-reset': factorReset,
};

/** The act of this name, if there is one. Its parameters pass its own form before anything else of it sees them. */
export function actOf(name: string): Act<unknown> | undefined {
  return actNames.includes(name as ActName) ? (acts[name as ActName] as Act<unknown>) : undefined;
}
