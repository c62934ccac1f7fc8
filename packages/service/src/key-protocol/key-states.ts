// The life of a key version (NIST SP 800-57 part 1, §7): what each state lets it do, and every step from one to the next. The key
// service moves keys by these tables and by nothing else; docs/key-management.md shows them.

export const keyStates = {
  'pre-active': { signs: false, opens: false },
  active: { signs: true, opens: true },
  suspended: { signs: false, opens: true },
  deactivated: { signs: false, opens: true },
  compromised: { signs: false, opens: true },
  'destroy-pending': { signs: false, opens: true },
  destroyed: { signs: false, opens: false },
  'destroyed-compromised': { signs: false, opens: false },
} as const satisfies Record<string, { signs: boolean; opens: boolean }>;

export type KeyState = keyof typeof keyStates;

export type KeyStep =
  | 'activate'
  | 'suspend'
  | 'resume'
  | 'deactivate'
  | 'compromise'
  | 'destroy'
  | 'destroy-cancel'
  | 'erase';

interface Transition {
  readonly step: KeyStep;
  readonly from: readonly KeyState[];
  readonly to: KeyState;
  /** Only for a key that was (or was not) known to be compromised. */
  readonly compromised?: boolean;
}

export const keyTransitions: readonly Transition[] = [
  { step: 'activate', from: ['pre-active'], to: 'active' },
  { step: 'suspend', from: ['active'], to: 'suspended' },
  { step: 'resume', from: ['suspended'], to: 'active' },
  { step: 'deactivate', from: ['pre-active', 'active', 'suspended'], to: 'deactivated' },
  {
    step: 'compromise',
    from: ['pre-active', 'active', 'suspended', 'deactivated', 'destroy-pending'],
    to: 'compromised',
  },
  { step: 'compromise', from: ['destroyed'], to: 'destroyed-compromised' },
  { step: 'destroy', from: ['deactivated', 'compromised'], to: 'destroy-pending' },
  { step: 'destroy-cancel', from: ['destroy-pending'], to: 'deactivated', compromised: false },
  { step: 'destroy-cancel', from: ['destroy-pending'], to: 'compromised', compromised: true },
  { step: 'erase', from: ['destroy-pending'], to: 'destroyed', compromised: false },
  { step: 'erase', from: ['destroy-pending'], to: 'destroyed-compromised', compromised: true },
];

/** The state after a step, undefined where the step does not lead from here. */
export function stateAfter(step: KeyStep, state: KeyState, compromised: boolean): KeyState | undefined {
  return keyTransitions.find(
    (each) => each.step === step && each.from.includes(state) && (each.compromised ?? compromised) === compromised,
  )?.to;
}
