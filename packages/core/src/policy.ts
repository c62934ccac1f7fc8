// The one place where it is decided what happens to a message: pure `decide(facts) → Plan`. Everything it looks at is in the
// facts, so `sealpost explain` can print them and a test can enumerate them.

import type { ErrorCode } from './errors.ts';
import type { Fingerprint } from './ids.ts';
import type { Group, GroupAction, Plan } from './plan.ts';

/** Mail that a gateway must leave alone, and why (reference: "Mail semantics that bite gateways"). */
export type Exemption = 'calendar' | 'report' | 'auto-reply' | 'pgp' | 'protected';

export interface OutboundPolicy {
  /** `always`: no mail leaves unsigned; `if-possible`: signed where the sender has a key; `never`. */
  readonly sign: 'always' | 'if-possible' | 'never';
  /** What happens to a recipient without a valid certificate: `plain` sends it unencrypted, `bounce` returns it. */
  readonly withoutCertificate: 'plain' | 'bounce';
  /** Kinds of mail that pass unchanged. */
  readonly exempt: readonly Exemption[];
}

export interface InboundPolicy {
  /** Clear-signed mail: `keep` the signature and add headers only, or `strip` it and add the footer. */
  readonly clearSigned: 'keep' | 'strip';
  /** The footer's text by result; an empty string adds none. */
  readonly footer: { readonly verified: string; readonly unverified: string; readonly unsigned: string };
  /** Prefixes to the subject by result; forged copies are removed from all inbound mail. Empty strings add none. */
  readonly subjectTag: { readonly verified: string; readonly decrypted: string };
}

export interface TenantPolicy {
  readonly outbound: OutboundPolicy;
  readonly inbound: InboundPolicy;
}

export interface OutboundFacts {
  readonly direction: 'outbound';
  readonly policy: OutboundPolicy;
  readonly nullSender: boolean;
  /** Its MIME structure is broken or beyond the limits, so nothing of it can be signed or encrypted with a known meaning. */
  readonly malformed: boolean;
  /** What the message is, of the kinds that may be exempt; absent for ordinary mail. */
  readonly exemption?: Exemption;
  /** The certificate that the From address signs with; absent where it has no active signing key. */
  readonly signer?: Fingerprint;
  readonly recipients: readonly OutboundRecipient[];
}

export interface OutboundRecipient {
  /** Place in the envelope. */
  readonly at: number;
  /** Named in To or Cc. A recipient who is not (Bcc) must not show up in anybody else's RecipientInfos. */
  readonly visible: boolean;
  /** The valid certificate to encrypt to. */
  readonly certificate?: Fingerprint;
  /**
   * We hold the private key of that certificate: a colleague behind this gateway, whose mail does not pass the inbound side and
   * could not be read if it were encrypted. It goes signed only, whatever the policy says of recipients without certificate.
   */
  readonly keyIsOurs?: boolean;
}

export interface InboundFacts {
  readonly direction: 'inbound';
  readonly policy: InboundPolicy;
  /** `none` is not S/MIME; `signed` holds nothing encrypted as far as its outer layers show. */
  readonly protection: 'none' | 'signed' | 'encrypted';
  readonly recipients: readonly InboundRecipient[];
}

export interface InboundRecipient {
  readonly at: number;
  /** Certificates of this recipient whose private keys we hold, old versions included. */
  readonly keys: readonly Fingerprint[];
}

export type Facts = OutboundFacts | InboundFacts;

/** Groups every recipient exactly once. Pure: the same facts give the same plan. */
export function decide(facts: Facts): Plan {
  const groups = facts.direction === 'outbound' ? outboundGroups(facts) : inboundGroups(facts);
  return {
    direction: facts.direction,
    groups: groups.map((group, index) => ({ id: `g${index}`, ...group })),
  };
}

type NewGroup = Omit<Group, 'id'>;

function outboundGroups(facts: OutboundFacts): NewGroup[] {
  const everybody = facts.recipients.map(({ at }) => at);
  const { policy, exemption, signer } = facts;
  if (facts.malformed) return group(everybody, { do: 'quarantine', code: 'message-malformed' });
  if (exemption && policy.exempt.includes(exemption)) return group(everybody, { do: 'pass' });
  if (policy.sign === 'always' && !signer) return group(everybody, refuse(facts, 'sender-without-key'));

  const signing = policy.sign === 'never' || !signer ? {} : { signWith: signer };
  const protect = (recipients: readonly OutboundRecipient[]): NewGroup[] =>
    group(
      recipients.map(({ at }) => at),
      {
        do: 'protect',
        ...signing,
        encryptTo: unique(recipients.flatMap(({ certificate, keyIsOurs }) => (keyIsOurs ? [] : (certificate ?? [])))),
      },
    );

  const colleagues = facts.recipients.filter(({ keyIsOurs }) => keyIsOurs);
  const reachable = facts.recipients.filter(({ certificate, keyIsOurs }) => certificate && !keyIsOurs);
  const others = facts.recipients.filter(({ certificate, keyIsOurs }) => !certificate && !keyIsOurs);
  return [
    ...protect(reachable.filter(({ visible }) => visible)),
    ...reachable.filter(({ visible }) => !visible).flatMap((hidden) => protect([hidden])),
    ...(policy.withoutCertificate === 'plain'
      ? protect(others)
      : group(
          others.map(({ at }) => at),
          refuse(facts, 'recipient-without-certificate'),
        )),
    ...protect(colleagues),
  ];
}

/** A refused message goes back to its sender, or waits for a person when there is none to return it to (RFC 5321 §4.5.5). */
function refuse(facts: OutboundFacts, code: ErrorCode): GroupAction {
  return facts.nullSender ? { do: 'quarantine', code: 'unprotected-null-sender' } : { do: 'bounce', code };
}

/**
 * A recipient's keys open mail for that recipient only: opened together, Bob's ciphertext re-sent to Bob and Carol would be
 * decrypted for Carol. So each one who holds keys is a group of its own, and those without share the unchanged message.
 */
function inboundGroups(facts: InboundFacts): NewGroup[] {
  const everybody = facts.recipients.map(({ at }) => at);
  if (facts.protection === 'none') return group(everybody, { do: 'pass' });
  if (facts.protection === 'signed') return group(everybody, { do: 'open', openWith: [] });
  const holders = facts.recipients.filter(({ keys }) => keys.length > 0);
  const others = facts.recipients.filter(({ keys }) => keys.length === 0);
  return [
    ...holders.flatMap(({ at, keys }) => group([at], { do: 'open', openWith: keys })),
    ...group(
      others.map(({ at }) => at),
      { do: 'open', openWith: [] },
    ),
  ];
}

function group(recipients: readonly number[], action: GroupAction): NewGroup[] {
  return recipients.length === 0 ? [] : [{ recipients, action }];
}

function unique<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}
