// The names of all acts, as requests and the policy use them; index.ts says what each is. Apart from it, because an act may ask
// whether another one exists.

export const actNames = [
  'break-glass-decrypt',
  'policy-change',
  'key-destroy',
  'key-export',
  'kek-rotate',
  'person-add',
  'person-renew',
  'person-remove',
  'factor-reset',
  'slot-add',
  'slot-remove',
  'slot-rotate',
] as const;
/** Approved on files and without the service (backup/restore-approvals.ts); the policy names it like the others. */
export const restoreAct = 'restore';
export type ActName = (typeof actNames)[number];
