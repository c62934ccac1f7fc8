// The memory twin keeps the contract of the real key service.

import { keyServiceContract, memoryKeyService } from '@sealpost/testkit';

keyServiceContract('memory twin', () => {
  const twin = memoryKeyService({ now: () => new Date() });
  return {
    as: (role) => twin.as(role),
    addIdentity: (tenant, address) => void twin.addIdentity(tenant, address),
    close: () => undefined,
  };
});
