// The policy that holds, for everybody who works under it. It changes by the act `policy-change`.

import type { Operation } from './operation.ts';

export const policyShow: Operation<'policy-show'> = {
  run(_, { store }) {
    const { form, hash } = store.policy();
    return { policy: form, hash };
  },
};
