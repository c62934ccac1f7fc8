// The key service: whether it answers, is open, and can be opened again when something is lost.

import { connectKeyAdmin, type Installation } from '@sealpost/service';
import { type Finding, failed, ok, warning, wordsOf } from './finding.ts';

export async function examineKeyService({ keyService }: Installation): Promise<Finding[]> {
  const what = 'key service';
  try {
    const admin = connectKeyAdmin(keyService);
    try {
      const { sealed, reason, development, slots } = await admin.call('status', {});
      return [
        sealed
          ? failed(what, `sealed (${reason ?? 'waiting'})`, 'open it: docs/runbooks/SealpostKeyServiceSealed.md')
          : ok(what, 'open'),
        ...(development
          ? [warning(what, 'the store was opened by a development slot', 'make a new store for production')]
          : []),
        ...(slots.length < 2
          ? [
              warning(
                what,
                `one slot only (${slots.map(({ label }) => label).join(', ')}): who loses its secret loses every key`,
                'add a second slot: `sealpost key-service slot add`',
              ),
            ]
          : []),
      ];
    } finally {
      admin.close();
    }
  } catch (error) {
    return [failed(what, wordsOf(error), 'start it, or give this machine the credential of an operator')];
  }
}
