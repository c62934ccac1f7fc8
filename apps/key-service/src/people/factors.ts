// The second factor of people: time-based codes (RFC 6238: six digits, SHA-1, thirty seconds, what every authenticator speaks). The
// secret lives in the sealed store and is told once. A code counts once, whoever asks how often at the same time; wrong ones are
// counted for the person by the name that the certificate says, so no spelling of a code or a name begins a new count.

import { randomBytes } from 'node:crypto';
import { KeyFault } from '@sealpost/service';
import { Secret, TOTP } from 'otpauth';
import { installationTenant } from '../authority/authority.ts';
import type { Policy } from '../policy/policy.ts';
import type { Records } from '../store/records.ts';
import { RowTaken } from '../store/rows.ts';

/** RFC 4226 §4 R6 recommends 160 bits. */
const secretLength = 20;
const periodSeconds = 30;
/** Steps before and after now that count: for clocks that differ and people who type (RFC 6238 §5.2). */
const window = 1;
/** Wrong codes in a row before the first lock, and one for each further lock: 28 tries on the first day, 24 on each later one, of a million. */
const maxFailures = 5;
const lockMs = 3_600_000;

interface FactorState {
  readonly isConfirmed: boolean;
  readonly lockedUntil?: Date;
}

export interface Factors {
  stateOf(name: string): FactorState;
  /** A fresh secret as otpauth URI; it counts once it is confirmed. Fault: `second-factor-exists`. */
  enrol(name: string, label: string, issuer: string): string;
  /** Faults: `code-wrong`, `code-locked`, `second-factor-missing`, `second-factor-exists`. */
  confirm(name: string, code: string, now: Date): void;
  /**
   * Uses up a code; where the policy asks for none and none is given, nothing.
   * Faults: `second-factor-needed`, `second-factor-missing`, `code-wrong`, `code-locked`.
   */
  spend(name: string, code: string | undefined, now: Date): void;
  /** Uses up a code and opens the operations of whoever shows this certificate. Faults: as `spend`. */
  present(person: { readonly name: string; readonly fingerprint: string }, code: string, now: Date): Date;
  isPresent(fingerprint: string, now: Date): boolean;
  /** Forgets the secret, and that a code was shown: the person enrols again. */
  reset(name: string): void;
}

interface Content {
  readonly v: 1;
  /** Base64; empty after a reset. */
  readonly secret: string;
  readonly confirmed: boolean;
  /** Wrong codes since the last right one. */
  readonly failures: number;
  readonly lockedUntil?: string;
}

const none: Content = { v: 1, secret: '', confirmed: false, failures: 0 };

export function openFactors(records: Records, policy: () => Policy): Factors {
  /** In memory only: after a restart or a sealing everybody shows a code again. */
  const present = new Map<string, { readonly name: string; readonly until: Date }>();
  const placeOf = (name: string) => ({ kind: 'factor', tenant: installationTenant, owner: name, id: name }) as const;
  const read = (name: string): Content => {
    const row = records.get(placeOf(name));
    return row ? (JSON.parse(row.toString('utf8')) as Content) : none;
  };
  const write = (name: string, content: Content): void =>
    records.replace(placeOf(name), Buffer.from(JSON.stringify(content)));

  /** Judges a code and writes down that it was shown, in one transaction: of many at once exactly one finds it unused. */
  function use(name: string, code: string, now: Date, confirms: boolean): void {
    const fault = records.transaction((): 'code-wrong' | 'code-locked' | undefined => {
      const factor = read(name);
      if (isLocked(factor, now)) return 'code-locked';
      const delta = totpOf(factor).validate({ token: code, timestamp: now.getTime(), window });
      if (delta === null) {
        const failures = factor.failures + 1;
        const lock = failures >= maxFailures ? { lockedUntil: new Date(now.getTime() + lockMs).toISOString() } : {};
        write(name, { ...factor, failures, ...lock });
        return 'code-wrong';
      }
      const counter = TOTP.counter({ period: periodSeconds, timestamp: now.getTime() }) + delta;
      // The row's id is a keyed hash, so the secret does not stand in it; another secret's codes are other codes.
      const id = `${name} ${factor.secret} ${counter}`;
      const used = { kind: 'code', tenant: installationTenant, owner: name, id } as const;
      try {
        records.insert(used, Buffer.from(now.toISOString()));
      } catch (error) {
        // One that was right once is no guess: it is refused, and not counted.
        if (error instanceof RowTaken) return 'code-wrong';
        throw error;
      }
      write(name, { v: 1, secret: factor.secret, confirmed: factor.confirmed || confirms, failures: 0 });
      return undefined;
    });
    if (fault) throw new KeyFault(fault);
  }

  function spend(name: string, code: string | undefined, now: Date): void {
    if (code === undefined && !policy().form.secondFactor.required) return;
    if (!read(name).confirmed) throw new KeyFault('second-factor-missing');
    if (code === undefined) throw new KeyFault('second-factor-needed');
    use(name, code, now, false);
  }

  return {
    spend,
    stateOf(name) {
      const { confirmed, lockedUntil } = read(name);
      return { isConfirmed: confirmed, ...(lockedUntil === undefined ? {} : { lockedUntil: new Date(lockedUntil) }) };
    },
    enrol(name, label, issuer) {
      const factor = read(name);
      if (factor.confirmed) throw new KeyFault('second-factor-exists');
      const secret = randomBytes(secretLength);
      // The count goes on: a new secret is no way around a lock.
      const content = { ...factor, secret: secret.toString('base64') };
      write(name, content);
      return totpOf(content, { label, issuer }).toString();
    },
    confirm(name, code, now) {
      const { secret, confirmed } = read(name);
      if (confirmed) throw new KeyFault('second-factor-exists');
      if (secret === '') throw new KeyFault('second-factor-missing');
      use(name, code, now, true);
    },
    present({ name, fingerprint }, code, now) {
      spend(name, code, now);
      const until = new Date(now.getTime() + policy().form.secondFactor.minutes * 60_000);
      present.set(fingerprint, { name, until });
      return until;
    },
    isPresent: (fingerprint, now) => now < (present.get(fingerprint)?.until ?? now),
    reset(name) {
      write(name, { ...none, failures: read(name).failures });
      for (const [fingerprint, { name: whose }] of present) if (whose === name) present.delete(fingerprint);
    },
  };
}

function isLocked({ lockedUntil }: Content, now: Date): boolean {
  return lockedUntil !== undefined && now < new Date(lockedUntil);
}

function totpOf({ secret }: Content, names: { label?: string; issuer?: string } = {}): TOTP {
  const bytes = Uint8Array.from(Buffer.from(secret, 'base64'));
  return new TOTP({
    ...names,
    secret: new Secret({ buffer: bytes.buffer }),
    algorithm: 'SHA1',
    digits: 6,
    period: periodSeconds,
  });
}
