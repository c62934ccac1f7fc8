// Whose private key a message may use: the sender's to sign what goes out, a recipient's to decrypt what comes in. The key
// service asks before it leases, the worker again before it takes a leased key from memory. Decrypting with any key at hand
// would open Bob's ciphertext for Carol when it is sent to Carol again.

import { normalAddress } from './address.ts';
import type { Envelope } from './envelope.ts';
import type { Direction, KeyName } from './ids.ts';

/** Whether the key's owner is somebody whom this message, going this way, is from or to. */
export function isOwnerOf(key: KeyName, direction: Direction, envelope: Envelope): boolean {
  if (direction === 'outbound') {
    return key.use === 'signing' && envelope.headerFrom !== '' && key.identity === normalAddress(envelope.headerFrom);
  }
  return key.use === 'decryption' && envelope.recipients.some(({ address }) => key.identity === normalAddress(address));
}
