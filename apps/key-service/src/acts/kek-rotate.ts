// A new version of a key-encryption key. The service wraps everything anew while it works on; the version before ends by itself.

import { z } from 'zod';
import { actorOf } from '../caller.ts';
import { kekUses } from '../vault/keks.ts';
import type { Act } from './act.ts';

const form = z.strictObject({ use: z.enum(kekUses) });

export const kekRotate: Act<z.output<typeof form>> = {
  form,
  requestedBy: ['key-admin', 'custodian'],
  describe: ({ use }) => `replace the key-encryption key of use ${use} and wrap everything under it anew`,
  check: ({ use }, { store }) => store.kekRotation.assertReady(use),
  async run({ use }, { store, caller }) {
    const version = await store.kekRotation.begin(use, actorOf(caller));
    return { use, version };
  },
};
