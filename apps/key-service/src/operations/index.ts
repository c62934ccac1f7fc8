// Every operation that needs the open store, by its name in the protocol.

import type { KeyOperation } from '@sealpost/service';
import { actApprove, actExecute, actList, actRefuse, actRequest, actShow } from './acts.ts';
import { auditAddress } from './audit-address.ts';
import { certificates, trustAnchors } from './certificates.ts';
import { identityAdd, identityList, identityShow } from './identities.ts';
import { importFile } from './import.ts';
import {
  kekList,
  keysCompromise,
  keysDeactivate,
  keysDestroyCancel,
  keysList,
  keysResume,
  keysRotate,
  keysShow,
  keysSuspend,
} from './keys.ts';
import { keysAddToken } from './keys-add-token.ts';
import { keysCsr } from './keys-csr.ts';
import { lease } from './lease.ts';
import type { Operation } from './operation.ts';
import { policyShow } from './policy.ts';
import { leaseList, leaseReturn, leaseRevoke, revocationAcknowledge, revocations } from './revocations.ts';
import { markerKeys, spoolPrivateKey, spoolPublicKey } from './spool.ts';
import { peopleConfirm, peopleEnrol, peopleList, peoplePresent } from './staff.ts';
import { authorities, releaseTicket, ticketCertificate } from './tickets.ts';
import { trustAdd, trustList } from './trust.ts';
import { openRecipient, sign } from './use-in-place.ts';

export type StoreOperation = Exclude<
  KeyOperation,
  'status' | 'unseal' | 'unseal-share' | 'unseal-reset' | 'seal' | 'audit-head' | 'leases' | 'backup-make'
>;

export const operations: { readonly [O in StoreOperation]: Operation<O> } = {
  'ticket-certificate': ticketCertificate,
  authorities,
  'spool-public-key': spoolPublicKey,
  'spool-private-key': spoolPrivateKey,
  'marker-keys': markerKeys,
  lease,
  sign,
  'open-recipient': openRecipient,
  revocations,
  'revocation-acknowledge': revocationAcknowledge,
  'lease-return': leaseReturn,
  'lease-revoke': leaseRevoke,
  'lease-list': leaseList,
  certificates,
  'trust-anchors': trustAnchors,
  'release-ticket': releaseTicket,
  'identity-add': identityAdd,
  'identity-list': identityList,
  'identity-show': identityShow,
  import: importFile,
  'keys-add-token': keysAddToken,
  'trust-add': trustAdd,
  'trust-list': trustList,
  'audit-address': auditAddress,
  'kek-list': kekList,
  'keys-list': keysList,
  'keys-show': keysShow,
  'keys-rotate': keysRotate,
  'keys-csr': keysCsr,
  'keys-suspend': keysSuspend,
  'keys-resume': keysResume,
  'keys-deactivate': keysDeactivate,
  'keys-compromise': keysCompromise,
  'keys-destroy-cancel': keysDestroyCancel,
  'policy-show': policyShow,
  'people-list': peopleList,
  'people-enrol': peopleEnrol,
  'people-confirm': peopleConfirm,
  'people-present': peoplePresent,
  'act-request': actRequest,
  'act-list': actList,
  'act-show': actShow,
  'act-approve': actApprove,
  'act-refuse': actRefuse,
  'act-execute': actExecute,
};
