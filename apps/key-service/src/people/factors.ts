// The second factor of people: time-based codes (RFC 6238: six digits, SHA-1, thirty seconds, what every authenticator speaks). The
// secret lives in the sealed store and is told once. A code counts once, whoever asks how often at the same time; wrong ones are
// counted for the person by the name that the certificate says, so no spelling of a code or a name begins a new count.

import { randomBytes } from 'node:crypto';
import { KeyFault, type KeyFaultCode } from '@sealpost/service';
import { Secret, TOTP } from 'otpauth';
import { installationTenant } from '../authority/authority.ts';
import type { Policy } from '../policy/policy.ts';
import type { Records } from '../store/records.ts';

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
  stateOf(name: string): Promise<FactorState>;
  /** A fresh secret as otpauth URI; it counts once it is confirmed. Fault: `second-factor-exists`. */
  enrol(name: string, label: string, issuer: string): Promise<string>;
  /** Faults: `code-wrong`, `code-locked`, `second-factor-missing`, `second-factor-exists`. */
  confirm(name: string, code: string, now: Date): Promise<void>;
  /**
   * Uses up a code; where the policy asks for none and none is given, nothing. Never in a transaction of the caller's: a wrong code
   * counts, whatever else fails with it. Faults: `second-factor-needed`, `second-factor-missing`, `code-wrong`, `code-locked`.
   */
  spend(name: string, code: string | undefined, now: Date): Promise<void>;
  /** Uses up a code and opens the operations of whoever shows this certificate. Faults: as `spend`. */
  present(person: { readonly name: string; readonly fingerprint: string }, code: string, now: Date): Promise<Date>;
  isPresent(person: { readonly name: string; readonly fingerprint: string }, now: Date): Promise<boolean>;
  /** Forgets the secret, and with it that a code was shown: the person enrols again. */
  reset(name: string): Promise<void>;
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
  /**
   * In memory only: after a restart or a sealing everybody shows a code again. It holds with the secret that the code was made with, so
   * that nobody stays who is reset meanwhile.
   */
  const present = new Map<string, { readonly secret: string; readonly until: Date }>();
  const placeOf = (name: string) => ({ kind: 'factor', tenant: installationTenant, owner: name, id: name }) as const;
  const read = async (name: string): Promise<Content> => {
    const row = await records.get(placeOf(name));
    return row ? (JSON.parse(row.toString('utf8')) as Content) : none;
  };
  const write = (name: string, content: Content): Promise<void> =>
    records.replace(placeOf(name), Buffer.from(JSON.stringify(content)));

  /** Judges a code and writes down that it was shown, in one transaction: of many at once exactly one finds it unused. */
  async function use(name: string, code: string, now: Date, confirms: boolean): Promise<string> {
    const judged = await records.transaction(async (): Promise<KeyFaultCode | { readonly secret: string }> => {
      const factor = await read(name);
      if (confirms && factor.confirmed) return 'second-factor-exists';
      if (factor.secret === '' || !(confirms || factor.confirmed)) return 'second-factor-missing';
      if (isLocked(factor, now)) return 'code-locked';
      const delta = totpOf(factor).validate({ token: code, timestamp: now.getTime(), window });
      if (delta === null) {
        const failures = factor.failures + 1;
        const lock = failures >= maxFailures ? { lockedUntil: new Date(now.getTime() + lockMs).toISOString() } : {};
        await write(name, { ...factor, failures, ...lock });
        return 'code-wrong';
      }
      const counter = TOTP.counter({ period: periodSeconds, timestamp: now.getTime() }) + delta;
      // The row's id is a keyed hash, so the secret does not stand in it; another secret's codes are other codes.
      const id = `${name} ${factor.secret} ${counter}`;
      const used = { kind: 'code', tenant: installationTenant, owner: name, id } as const;
      // One that was right once is no guess: it is refused, and not counted.
      if (await records.get(used)) return 'code-wrong';
      await records.insert(used, Buffer.from(now.toISOString()));
      await write(name, { v: 1, secret: factor.secret, confirmed: true, failures: 0 });
      return { secret: factor.secret };
    });
    if (typeof judged === 'string') throw new KeyFault(judged);
    return judged.secret;
  }

  async function spend(name: string, code: string | undefined, now: Date): Promise<void> {
    if (code === undefined) {
      if (!policy().form.secondFactor.required) return;
      throw new KeyFault((await read(name)).confirmed ? 'second-factor-needed' : 'second-factor-missing');
    }
    await use(name, code, now, false);
  }

  return {
    spend,
    async stateOf(name) {
      const { confirmed, lockedUntil } = await read(name);
      return { isConfirmed: confirmed, ...(lockedUntil === undefined ? {} : { lockedUntil: new Date(lockedUntil) }) };
    },
    enrol: (name, label, issuer) =>
      records.transaction(async () => {
        const factor = await read(name);
        if (factor.confirmed) throw new KeyFault('second-factor-exists');
        const secret = randomBytes(secretLength);
        // The count goes on: a new secret is no way around a lock.
        const content = { ...factor, secret: secret.toString('base64') };
        await write(name, content);
        return totpOf(content, { label, issuer }).toString();
      }),
    async confirm(name, code, now) {
      await use(name, code, now, true);
    },
    async present({ name, fingerprint }, code, now) {
      const secret = await use(name, code, now, false);
      const until = new Date(now.getTime() + policy().form.secondFactor.minutes * 60_000);
      present.set(fingerprint, { secret, until });
      return until;
    },
    async isPresent({ name, fingerprint }, now) {
      const shown = present.get(fingerprint);
      if (!shown || now >= shown.until) return false;
      return (await read(name)).secret === shown.secret;
    },
    reset: (name) =>
      records.transaction(async () => {
        const { failures } = await read(name);
        await write(name, { ...none, failures });
      }),
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
