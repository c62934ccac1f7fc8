// Every operation that needs the open store, by its name in the protocol.

import type { KeyOperation } from '@sealpost/service';
import { auditAddress } from './audit-address.ts';
import { certificates, trustAnchors } from './certificates.ts';
import { identityAdd, identityList, identityShow } from './identities.ts';
import { importFile } from './import.ts';
import { lease } from './lease.ts';
import type { Operation } from './operation.ts';
import { markerKeys, spoolPrivateKey, spoolPublicKey } from './spool.ts';
import { authorities, releaseTicket, ticketCertificate } from './tickets.ts';
import { trustAdd, trustList } from './trust.ts';
import { openRecipient, sign } from './use-in-place.ts';

export type StoreOperation = Exclude<KeyOperation, 'status' | 'unseal' | 'seal' | 'audit-head' | 'leases'>;

export const operations: { readonly [O in StoreOperation]: Operation<O> } = {
  'ticket-certificate': ticketCertificate,
  authorities,
  'spool-public-key': spoolPublicKey,
  'spool-private-key': spoolPrivateKey,
  'marker-keys': markerKeys,
  lease,
  sign,
  'open-recipient': openRecipient,
  certificates,
  'trust-anchors': trustAnchors,
  'release-ticket': releaseTicket,
  'identity-add': identityAdd,
  'identity-list': identityList,
  'identity-show': identityShow,
  import: importFile,
  'trust-add': trustAdd,
  'trust-list': trustList,
  'audit-address': auditAddress,
};
