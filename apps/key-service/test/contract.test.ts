// The real key service keeps the contract of its port.

import { keyServiceContract } from '@sealpost/testkit';
import { runKeyService } from './running-key-service.ts';

keyServiceContract('key service', async () => {
  const service = await runKeyService();
  const operator = service.call('operator');
  let processes = 0;
  return {
    as: (role) => service.as(role, `${role}-${processes++}`),
    async addIdentity(_, address) {
      await operator.call('identity-add', { address, algorithm: 'p-256' });
    },
    async close() {
      await service[Symbol.asyncDispose]();
    },
  };
});
