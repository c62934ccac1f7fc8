// The secret of a slot that a token opens: 32 random bytes, encrypted by a key that stays in the token. AES-CBC has no integrity and
// OAEP with SHA-1 is what every token does; both are enough here, because what comes back must be the private half of the slot's
// public key.

import { constants, createPublicKey, publicEncrypt, randomBytes } from 'node:crypto';
import { KeyFault, type NewSlot, type SlotFacts, slotPublicKey } from '@sealpost/service';
import type { Hsm, HsmCipher } from '../hsm/hsm.ts';
import { factsOf, type Slot } from './slots.ts';

type AskedTokenSlot = Extract<NewSlot, { kind: 'pkcs11' }>;
type TokenSlot = Extract<SlotFacts, { kind: 'pkcs11' }>;

const oaep = { kind: 'rsa-oaep', hash: 'sha1', mgfHash: 'sha1' } as const;

/** Faults: those of the token; `hsm-refused` for a key that is neither RSA nor AES. */
export async function makeTokenSlot({ label, key }: AskedTokenSlot, hsm: Hsm): Promise<TokenSlot> {
  const secret = randomBytes(32);
  try {
    const publicKey = await slotPublicKey({ kind: 'pkcs11' }, secret);
    const found = await hsm.find({ label: key });
    if (found.type === 'aes') {
      const iv = randomBytes(16);
      const encrypted = await hsm.encrypt({ label: key }, { kind: 'aes-cbc', iv }, secret);
      return { kind: 'pkcs11', label, key, iv, secret: encrypted, publicKey };
    }
    if (found.type !== 'rsa' || !found.publicKey) throw new KeyFault('hsm-refused');
    const rsa = createPublicKey({ key: found.publicKey, format: 'der', type: 'spki' });
    const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' };
    return { kind: 'pkcs11', label, key, secret: publicEncrypt({ key: rsa, ...padding }, secret), publicKey };
  } finally {
    secret.fill(0);
  }
}

/** The slot's secret, or undefined when the token has another key under that label. The caller overwrites it after use. */
export async function tokenSecret({ key, iv, secret }: TokenSlot, hsm: Hsm): Promise<Buffer | undefined> {
  const cipher: HsmCipher = iv ? { kind: 'aes-cbc', iv } : oaep;
  return await hsm.decrypt({ label: key }, cipher, secret);
}

/** The secret of the first slot that the token opens. Faults: `passphrase-wrong` when it opens none, and the token's. */
export async function secretByToken(slots: readonly Slot[], hsm: Hsm): Promise<Buffer> {
  let failed: unknown = new KeyFault('passphrase-wrong');
  for (const slot of slots.filter(({ kind }) => kind === 'pkcs11')) {
    try {
      const facts = factsOf(slot);
      const secret = facts?.kind === 'pkcs11' ? await tokenSecret(facts, hsm) : undefined;
      if (!facts || !secret) continue;
      if (facts.publicKey.equals(await slotPublicKey({ kind: 'pkcs11' }, secret))) return secret;
      secret.fill(0);
    } catch (error) {
      failed = error;
    }
  }
  throw failed;
}
