// The heads that clients show. A client that saw more of the log than is here proves that the end was cut off; one that saw
// another record proves that it was rewritten. While the store is sealed the signature cannot be checked, so the highest head of
// each client waits for the opening.

import { isGenuineHead, parseHead, type SignedHead } from '@sealpost/service';
import type { HeadSigner } from './head-signer.ts';
import type { Journal } from './journal.ts';
import type { LogMemory } from './log-memory.ts';

/** Client certificates that may wait; an installation has a handful. */
const maxWaiting = 256;

export interface ClientHeads {
  /** Keeps a client's head for the opening. `client`: its certificate's fingerprint. */
  wait(client: string, text: string): void;
  /** Those that waited, which are then forgotten. */
  waited(): readonly SignedHead[];
}

export function openClientHeads(): ClientHeads {
  const waiting = new Map<string, SignedHead>();
  return {
    wait(client, text) {
      const head = parseHead(text);
      const known = waiting.get(client);
      if (!head || (known ? known.log === head.log && known.seq >= head.seq : waiting.size >= maxWaiting)) return;
      waiting.set(client, head);
    },
    waited() {
      const heads = [...waiting.values()];
      waiting.clear();
      return heads;
    },
  };
}

/** Whether a head proves that this log was cut or rewritten. The signature is checked only then: what agrees proves nothing. */
export function contradicts(head: SignedHead, journal: Journal, memory: LogMemory, signer: HeadSigner): boolean {
  if (head.log !== memory.log) return !memory.replaced.includes(head.log) && isGenuineHead(head, signer.publicKey);
  const known = head.seq > journal.head().head.seq ? 'missing' : (journal.hashAt(head.seq) ?? head.hash);
  return known !== head.hash && isGenuineHead(head, signer.publicKey);
}
