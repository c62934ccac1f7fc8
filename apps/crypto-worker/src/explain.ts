// Why a mail is treated as it is: every fact that the decision looks at, and the decision. The same code as the pipeline's gathers
// and decides; nothing is done.

import { decide, type Envelope, type Plan } from '@sealpost/core';
import type { Candidate } from './certificates.ts';
import { type Classification, classificationOf } from './classify.ts';
import { type FactSources, type Gathered, gatherFacts } from './facts.ts';

export interface Explanation extends Gathered {
  readonly tenant: string;
  readonly classification: Classification;
  readonly envelope: Envelope;
  readonly plan: Plan;
}

export interface Question extends Pick<FactSources, 'certificates' | 'tenant' | 'policy' | 'direction' | 'now'> {
  readonly from: string;
  readonly to: readonly string[];
  /** CRLF lines. */
  readonly message: Buffer;
}

export async function explain(question: Question): Promise<Explanation> {
  const { tenant, direction, from, to } = question;
  const classification = classificationOf(question.message);
  const envelope: Envelope = {
    mailFrom: from,
    headerFrom: direction === 'outbound' ? (classification.from[0] ?? from) : '',
    recipients: to.map((address) => ({ address })),
    eightBit: false,
    smtpUtf8: false,
    salt: '',
  };
  const gathered = await gatherFacts({ ...question, envelope, classification });
  return { ...gathered, tenant, classification, envelope, plan: decide(gathered.facts) };
}

export function explanationJson({ facts, plan, classification, tenant, envelope, candidates }: Explanation): object {
  const certificates = [...candidates].map(([address, list]) => ({ address, certificates: list.map(describe) }));
  const recipients = envelope.recipients.map(({ address }) => address);
  return { tenant, recipients, classification, facts, certificates, plan };
}

function describe({ record, certificate, refusal }: Candidate): object {
  return {
    fingerprint: record.fingerprint,
    ...(certificate ? { subject: certificate.subject, notAfter: certificate.notAfter.toISOString() } : {}),
    pinned: record.pinned,
    ownKey: record.keyId ?? null,
    usable: refusal === undefined,
    ...(refusal === undefined ? {} : { refusal }),
  };
}

export function explanationTable({ facts, plan, classification, tenant, envelope, candidates }: Explanation): string {
  const address = (at: number): string => envelope.recipients[at]?.address ?? '';
  const rows: [string, string][] = [
    ['tenant', tenant],
    ['direction', facts.direction],
    ['from', classification.from.join(', ') || '(none)'],
    ['malformed', String(classification.malformed)],
    ['protection', classification.protection],
    ['kinds that may be exempt', classification.exemptions.join(', ') || '(none)'],
    ...Object.entries(facts.policy).map(([name, value]): [string, string] => [`policy ${name}`, JSON.stringify(value)]),
    ...(facts.direction === 'outbound'
      ? ([
          ['null sender', String(facts.nullSender)],
          ['signs with', facts.signer ?? '(no signing key)'],
        ] satisfies [string, string][])
      : []),
    ...facts.recipients.map((recipient): [string, string] => [
      `recipient ${address(recipient.at)}`,
      'keys' in recipient
        ? `${recipient.keys.length} decryption keys`
        : `${recipient.visible ? 'in To or Cc' : 'hidden'}, ${recipient.certificate ?? 'no certificate'}${recipient.keyIsOurs ? ', its key is ours' : ''}`,
    ]),
    ...[...candidates].flatMap(([of, list]) =>
      list.map(({ record, refusal }): [string, string] => [
        `certificate of ${of}`,
        `${record.fingerprint.slice(0, 16)}… ${refusal ?? (record.pinned ? 'usable, pinned' : 'usable')}`,
      ]),
    ),
    ...plan.groups.map(({ id, recipients, action }): [string, string] => [
      `decision ${id}`,
      `${recipients.map(address).join(', ')}: ${JSON.stringify(action)}`,
    ]),
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return `${rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n')}\n`;
}
