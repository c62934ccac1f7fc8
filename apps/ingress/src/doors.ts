// The two listeners differ in three answers: who may hand in mail, for which recipients, and whose mail it is then.

import { type Direction, fail, type TenantId } from '@sealpost/core';
import type { HeaderField } from '@sealpost/smime';
import { oneAuthor } from './check-message.ts';
import type { Recipients } from './recipients.ts';
import type { Client, Sources } from './sources.ts';

/** A client that may send, and what the dialogue with it needs to know. */
export interface Admission {
  /** Name of the source for tickets and logs. */
  readonly source: string;
  readonly normaliseBareLf: boolean;
  /** Lower-case name of a field that does not travel on. */
  readonly secretField?: string;
  /** Where the bare `postmaster` is. */
  readonly postmasterDomain?: string;
  /** Errors: those of the RCPT command in errors.ts. */
  admitRecipient(address: string, others: readonly string[]): Promise<void>;
  /** Whose mail it is. Errors: those about From and tenant. */
  ownerOf(fields: readonly HeaderField[], recipients: readonly string[]): Owner;
}

interface Owner {
  readonly tenant: TenantId;
  /** The author's address; the empty string where none was demanded. */
  readonly headerFrom: string;
}

export interface Door {
  readonly direction: Direction;
  /** Whether a client at this address waits for the greeting. */
  knocks(address: string): boolean;
  /** Errors: `relay-denied`, `client-certificate-refused`. */
  admit(client: Client): Admission;
}

/** For configured sources, to everywhere. */
export function outboundDoor(sources: Sources): Door {
  return {
    direction: 'outbound',
    knocks: (address) => sources.knocks(address),
    admit(client) {
      const { name, normaliseBareLf, tenantField, authorise } = sources.of(client);
      return {
        source: name,
        normaliseBareLf,
        ...(tenantField === undefined ? {} : { secretField: tenantField }),
        admitRecipient: async () => undefined,
        ownerOf(fields) {
          const headerFrom = oneAuthor(fields);
          return { tenant: authorise(fields, headerFrom), headerFrom };
        },
      };
    },
  };
}

/** For everybody, to recipients of our own. */
export function inboundDoor(recipients: Recipients): Door {
  const admission: Admission = {
    source: 'world',
    normaliseBareLf: false,
    postmasterDomain: recipients.postmasterDomain,
    async admitRecipient(address, [first]) {
      const tenant = await recipients.check(address);
      // Keys, policy and tickets are one tenant's; the client sends the others again, as after 452 (RFC 5321 §4.5.3.1.10).
      if (first !== undefined && recipients.tenantOf(first) !== tenant) throw fail('recipients-mixed');
    },
    ownerOf(_, [first = '']) {
      const tenant = recipients.tenantOf(first);
      if (!tenant) throw fail('domain-unknown');
      return { tenant, headerFrom: '' };
    },
  };
  return { direction: 'inbound', knocks: () => true, admit: () => admission };
}
