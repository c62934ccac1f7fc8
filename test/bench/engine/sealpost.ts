// The engine as a gateway uses it: keys in this process, certificates parsed, what was checked once kept.

import { localKeys, open, protect } from '../../../packages/smime/src/index.ts';
import { ca, NOW } from '../../../packages/smime/test/people.ts';
import { type Contender, inProcess } from './contender.ts';

export const sealpost: Contender = inProcess('sealpost', ({ sender, recipient, message, made }) => {
  const keys = localKeys([sender, recipient]);
  const sign = { certificate: sender.certificate, chain: [ca] };
  const encrypt = { recipients: [recipient.certificate] };
  return {
    make: () => protect(message, { keys, sign, encrypt, now: NOW }),
    async read() {
      const result = await open(made, { keys, recipients: [recipient.certificate], trust: [ca], at: NOW });
      if (result.kind !== 'opened' || !result.verdict.verified) throw new Error('not verified');
    },
  };
});
