// A user's key used here, for keys that may not leave and for whoever would rather not hold one: signatures over complete signed
// attributes, content keys out of RecipientInfos. Justified like a lease, on record with the number of items; a log of these shows
// uses where a log of leases cannot.

import { fail } from '@sealpost/core';
import { type Certificate, certificateFromDer, openRecipientInfo, readSignRequest, signOctets } from '@sealpost/smime';
import type { OpenStore } from '../open-store.ts';
import type { StoredKey } from '../store/key-store.ts';
import { privateKeyOf } from '../vault/wrap-key.ts';
import { justifiedKey, useSubject } from './justified.ts';
import type { Operation } from './operation.ts';

export const sign: Operation<'sign'> = {
  subject: (request, store) => ({ ...useSubject(request, store), count: request.items.length }),
  run(request, call) {
    const key = justifiedKey(request, call);
    const certificates = certificatesOf(key, call.store);
    // All before the first: a batch with something odd in it gets nothing.
    const wanted = request.items.map(({ certificate: fingerprint, signedAttributes, ...algorithm }) => {
      const certificate = certificates.find((each) => each.fingerprint === fingerprint);
      const asked = certificate && readSignRequest(certificate, algorithm, signedAttributes);
      if (!asked) throw fail('key-denied');
      return asked;
    });
    const signatures = call.store.keys.withSecret(key, (secret) => {
      const privateKey = privateKeyOf(secret);
      return wanted.map(({ algorithm, signedAttributes }) => signOctets(privateKey, algorithm, signedAttributes));
    });
    return { signatures };
  },
};

export const openRecipient: Operation<'open-recipient'> = {
  subject: (request, store) => ({ ...useSubject(request, store), count: request.items.length }),
  run(request, call) {
    const key = justifiedKey(request, call);
    const certificates = certificatesOf(key, call.store);
    const contentKeys = call.store.keys.withSecret(key, (secret) => {
      const privateKey = privateKeyOf(secret);
      return request.items.map(({ recipientInfo, keyLength }) => {
        for (const certificate of certificates) {
          const opened = openRecipientInfo(privateKey, certificate, recipientInfo, keyLength);
          if (opened?.length === keyLength) return opened;
        }
        // One answer for an info that is not for this key, that is damaged, and that does not open.
        return null;
      });
    });
    return { contentKeys };
  },
};

/** The certificates that were issued for this key. */
function certificatesOf({ keyId, name }: StoredKey, { certificates }: OpenStore): Certificate[] {
  return certificates
    .ofAddress(name.tenant, name.identity)
    .filter((record) => record.keyId === keyId)
    .map((record) => certificateFromDer(record.certificate));
}
