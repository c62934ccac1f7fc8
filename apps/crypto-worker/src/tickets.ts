// The worker's side of tickets: verify what ingress, workers and the key service signed, and sign what goes on.

import { type KeyService, signTicket, type Ticket, type TicketVerifier, ticketVerifier } from '@sealpost/core';

export interface Tickets {
  verifier(): Promise<TicketVerifier>;
  sign(ticket: Ticket): Promise<Buffer>;
}

/** `lifeMs`: the longest that a message can be in the queue. */
export function tickets(keys: Pick<KeyService, 'ticketAuthorities' | 'ticketSigner'>, lifeMs: number): Tickets {
  let known: { readonly authorities: string; readonly verifier: TicketVerifier } | undefined;
  return {
    async verifier() {
      const authorities = await keys.ticketAuthorities();
      const name = authorities.map((der) => der.toString('base64')).join();
      // Made anew only when the authorities change: it remembers the stages that it verified.
      if (known?.authorities !== name) known = { authorities: name, verifier: ticketVerifier(authorities, lifeMs) };
      return known.verifier;
    },
    sign: async (ticket) => signTicket(ticket, await keys.ticketSigner()),
  };
}
