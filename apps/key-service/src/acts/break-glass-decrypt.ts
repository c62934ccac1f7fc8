// Opens one message of one person without a delivery that justifies it: for courts, heirs, and investigations, by several people
// together. The request holds the message's RecipientInfos and not the message, so the service never sees mail; what comes out are
// content keys, sealed to a key of the requester's.

import { isAddress, normalAddress, type TenantId } from '@sealpost/core';
import { KeyFault, keyStates, sealReleasedKey } from '@sealpost/service';
import { z } from 'zod';
import { openWith } from '../keys-in-place.ts';
import type { OpenStore } from '../open-store.ts';
import type { StoredKey } from '../store/key-store.ts';
import type { Act } from './act.ts';

/** RecipientInfos of one message that name one person: one for each of his certificates and each outer layer. */
const maxItems = 8;
/** 32 KiB in base64. */
const maxInfo = 44_000;

const form = z.strictObject({
  tenant: z.string().regex(/^[a-z][a-z0-9-]{0,62}$/),
  address: z.string().max(320).refine(isAddress),
  /** SHA-256 of the message file, as those who approve can take it of the message that they were shown. */
  message: z.string().regex(/^[0-9a-f]{64}$/),
  /** The requester's X25519 key (RFC 7748), made for this. */
  to: z.base64().refine((text) => Buffer.from(text, 'base64').length === 32),
  items: z
    .array(z.strictObject({ recipientInfo: z.base64().min(4).max(maxInfo), keyLength: z.int().min(1).max(64) }))
    .min(1)
    .max(maxItems),
});
type Params = z.output<typeof form>;

export const breakGlassDecrypt: Act<Params> = {
  form,
  requestedBy: ['operator', 'key-admin'],
  describe: ({ address, message }) => `open the message with SHA-256 ${message} of ${normalAddress(address)}`,
  subject: ({ tenant, address, message, items }, store) => ({
    tenant,
    address: store.auditAddress(address),
    digest: message,
    count: items.length,
  }),
  async check(params, { store }) {
    if ((await keysOf(params, store)).length === 0) throw new KeyFault('not-found');
    // A key of low order is found out now, and not after others approved.
    sealReleasedKey(Buffer.alloc(0), { ...params, recipientInfo: Buffer.alloc(0) }, Buffer.from(params.to, 'base64'));
  },
  async run({ tenant, address, to, items }, { store }) {
    const infos = items.map(({ recipientInfo, keyLength }) => ({
      recipientInfo: Buffer.from(recipientInfo, 'base64'),
      keyLength,
    }));
    const opened: (Buffer | null)[] = infos.map(() => null);
    for (const key of await keysOf({ tenant, address }, store)) {
      const found = await openWith(key, infos, store);
      for (const [at, contentKey] of found.entries()) opened[at] ??= contentKey;
    }
    return {
      contentKeys: infos.map(({ recipientInfo }, at) => {
        const contentKey = opened[at];
        if (!contentKey) return null;
        const binding = { tenant, address: normalAddress(address), recipientInfo };
        try {
          return sealReleasedKey(contentKey, binding, Buffer.from(to, 'base64')).toString('base64');
        } finally {
          contentKey.fill(0);
        }
      }),
    };
  },
};

/** Every version of the person's decryption keys that opens something yet, newest first. */
async function keysOf(
  { tenant, address }: Pick<Params, 'tenant' | 'address'>,
  { keys }: OpenStore,
): Promise<StoredKey[]> {
  const versions = await keys.versions(tenant as TenantId, normalAddress(address), 'decryption');
  return versions.filter(({ state }) => keyStates[state].opens);
}
