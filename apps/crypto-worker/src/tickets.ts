// The worker's side of tickets: verify what ingress and the key service signed and what a worker stored, and sign what goes on.

import { type KeyService, signTicket, type Ticket, type TicketVerifier, ticketVerifier } from '@sealpost/core';

export interface Tickets {
  /** For mail on its way: not older than mail may wait. */
  queued(): Promise<TicketVerifier>;
  /** For mail that an operator released: it may be as old as the quarantine keeps it. */
  released(): Promise<TicketVerifier>;
  sign(ticket: Ticket): Promise<Buffer>;
}

export function tickets(
  keys: Pick<KeyService, 'ticketAuthorities' | 'ticketSigner'>,
  ages: { readonly queuedMs: number; readonly releasedMs: number },
): Tickets {
  const verifierFor = (maxAgeMs: number): (() => Promise<TicketVerifier>) => {
    let known: { readonly authorities: string; readonly verifier: TicketVerifier } | undefined;
    return async () => {
      const authorities = await keys.ticketAuthorities();
      const name = authorities.map((der) => der.toString('base64')).join();
      if (known?.authorities !== name) known = { authorities: name, verifier: ticketVerifier(authorities, maxAgeMs) };
      return known.verifier;
    };
  };
  return {
    queued: verifierFor(ages.queuedMs),
    released: verifierFor(ages.releasedMs),
    sign: async (ticket) => signTicket(ticket, await keys.ticketSigner()),
  };
}
