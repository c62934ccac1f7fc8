// What opens the store without a person: a file that a secret manager mounts, or a key in a token. As the configuration names them, in
// its order.

import type { KeyServerConfig } from '@sealpost/service';
import type { Keeper } from './keeper.ts';
import { readSlotFile } from './vault/slot-file.ts';

export type AutomaticSlot =
  | { readonly kind: 'file'; readonly file: string }
  | { readonly kind: 'pkcs11'; readonly label: string };

/** `slots`, after the one of the older `slot`. */
export function automaticSlots({ slot, slots }: KeyServerConfig): AutomaticSlot[] {
  const older = slot.kind === 'file' ? [slot] : [];
  return [...older, ...slots].flatMap((each): AutomaticSlot[] => {
    if ('label' in each && each.kind === 'pkcs11' && each.label !== undefined)
      return [{ kind: 'pkcs11', label: each.label }];
    return each.kind === 'file' && each.file !== undefined ? [{ kind: 'file', file: each.file }] : [];
  });
}

/** Opens the store. Throws SetupError for a file that cannot be used, and the keeper's faults. */
export async function openBy(keeper: Keeper, slot: AutomaticSlot): Promise<void> {
  if (slot.kind === 'pkcs11') {
    await keeper.unsealByToken();
    return;
  }
  const { bytes, development } = readSlotFile(slot.file);
  await keeper.unseal('file', bytes).finally(() => bytes.fill(0));
  if (development) await keeper.markDevelopment();
}
