// How an address stands in the audit log, for whoever looks something up in it. On record itself: with enough questions a log
// can be read back into addresses.

import type { Operation } from './operation.ts';

export const auditAddress: Operation<'audit-address'> = {
  subject: ({ address }, store) => ({ address: store.auditAddress(address) }),
  run: ({ address }, { store }) => ({ hash: store.auditAddress(address), hashes: store.auditAddresses(address) }),
};
