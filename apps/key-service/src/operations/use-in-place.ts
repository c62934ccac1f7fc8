// A user's key used here, for keys that may not leave and for whoever would rather not hold one: signatures over complete signed
// attributes, content keys out of RecipientInfos. Justified like a lease, on record with the number of items; a log of these shows
// uses where a log of leases cannot.

import { fail } from '@sealpost/core';
import { readSignRequest } from '@sealpost/smime';
import { certificatesOf, openWith, signWith } from '../keys-in-place.ts';
import { justifiedKey, useSubject } from './justified.ts';
import type { Operation } from './operation.ts';

export const sign: Operation<'sign'> = {
  subject: (request, store) => ({ ...useSubject(request, store), count: request.items.length }),
  async run(request, call) {
    const key = await justifiedKey(request, call);
    const certificates = await certificatesOf(key, call.store);
    // All before the first: a batch with something odd in it gets nothing.
    const wanted = request.items.map(({ certificate: fingerprint, signedAttributes, ...algorithm }) => {
      const certificate = certificates.find((each) => each.fingerprint === fingerprint);
      const asked = certificate && readSignRequest(certificate, algorithm, signedAttributes);
      if (!asked) throw fail('key-denied');
      return asked;
    });
    return { signatures: await signWith(key, wanted, call.store) };
  },
};

export const openRecipient: Operation<'open-recipient'> = {
  subject: (request, store) => ({ ...useSubject(request, store), count: request.items.length }),
  async run(request, call) {
    return { contentKeys: await openWith(await justifiedKey(request, call), request.items, call.store) };
  },
};
