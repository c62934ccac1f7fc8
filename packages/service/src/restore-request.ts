// The request to restore a backup, and the approvals of others, as files: there is no service on the empty machine that could take
// them. Each is signed by a person's own key over the canonical request; what the signatures are worth says the register in the backup.

import { createHash, createPrivateKey, type KeyObject, randomUUID, X509Certificate } from 'node:crypto';
import { SetupError } from '@sealpost/core';
import { z } from 'zod';
import { requestHash, signApproval } from './approval.ts';
import { canonicalJson } from './canonical-json.ts';
import { personRoles } from './key-protocol/policy.ts';
import { personName } from './key-protocol/staff.ts';
import type { TlsIdentity } from './tls.ts';

/** Custodians travel; after a week they ask again with the backup and the head that are the latest then. */
const lifeMs = 7 * 24 * 3_600_000;
/** A request is some kilobyte. */
const maxFile = 64 * 1024;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const signatory = z.strictObject({ role: z.enum(personRoles), name: personName, certificate: sha256 });
const signature = z.base64().min(1).max(2_048);
/** What is signed, as canonical JSON (RFC 8785). */
const asked = z.strictObject({
  v: z.literal(1),
  act: z.literal('restore'),
  id: z.uuid(),
  /** SHA-256 of the backup's file. */
  backup: sha256,
  /** The head of the audit log that the custodians hold. */
  checkpoint: z.strictObject({ head: z.string().max(1_024), key: z.string().max(1_024) }),
  /** Audit records that the head has and the backup has not. */
  acceptLoss: z.union([z.int().min(0), z.literal('all')]),
  reason: z.string().min(1).max(1_024),
  requester: signatory,
  requestedAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
});
const requestFile = z.strictObject({
  v: z.literal(1),
  kind: z.literal('sealpost restore request'),
  canonical: z.string().max(16 * 1024),
  signature,
});
const approvalFile = z.strictObject({
  v: z.literal(1),
  kind: z.literal('sealpost restore approval'),
  /** SHA-256 of the canonical request. */
  hash: sha256,
  signatory,
  signature,
});

type Asked = z.output<typeof asked>;
export type RestoreSignatory = z.output<typeof signatory>;
export type RestoreApproval = z.output<typeof approvalFile>;

export interface RestoreRequest {
  readonly asked: Asked;
  readonly canonical: string;
  /** SHA-256 of `canonical`, lower-case hex. */
  readonly hash: string;
  /** The requester's, over `canonical`. */
  readonly signature: Buffer;
}

export type RestoreWish = Pick<Asked, 'checkpoint' | 'acceptLoss' | 'reason'>;

/** The text of a request's file, signed by whoever asks. Throws SetupError for a credential that is no person's. */
export function makeRestoreRequest(
  backup: Buffer,
  { checkpoint, acceptLoss, reason }: RestoreWish,
  identity: TlsIdentity,
  now: Date,
): string {
  const { key, ...requester } = personOf(identity);
  const canonical = canonicalJson({
    v: 1,
    act: 'restore',
    id: randomUUID(),
    backup: createHash('sha256').update(backup).digest('hex'),
    checkpoint,
    acceptLoss,
    reason,
    requester,
    requestedAt: now.toISOString(),
    expiresAt: new Date(now.getTime() + lifeMs).toISOString(),
  } satisfies Asked);
  return text({ v: 1, kind: 'sealpost restore request', canonical, signature: signed(canonical, key) });
}

/** The text of an approval's file. Throws SetupError as above. */
export function approveRestore({ canonical, hash }: RestoreRequest, identity: TlsIdentity): string {
  const { key, ...who } = personOf(identity);
  return text({
    v: 1,
    kind: 'sealpost restore approval',
    hash,
    signatory: who,
    signature: signed(canonical, key),
  } satisfies RestoreApproval);
}

/** Reads a request's file; its signature is judged by whoever knows the requester. Throws SetupError. */
export function readRestoreRequest(file: Buffer): RestoreRequest {
  const complaint = 'this is not a request to restore a backup';
  const { canonical, signature: given } = parsed(requestFile, file, complaint);
  const read = parsed(asked, Buffer.from(canonical), complaint);
  // One text for one request: what was shown is what was signed.
  if (canonicalJson(read) !== canonical) throw new SetupError(complaint);
  return { asked: read, canonical, hash: requestHash(canonical), signature: Buffer.from(given, 'base64') };
}

/** Throws SetupError. */
export function readRestoreApproval(file: Buffer): RestoreApproval {
  return parsed(approvalFile, file, 'this is not an approval of a restore');
}

function parsed<T>(form: z.ZodType<T>, bytes: Buffer, complaint: string): T {
  try {
    if (bytes.length > maxFile) throw new SetupError(complaint);
    return form.parse(JSON.parse(bytes.toString('utf8')));
  } catch {
    throw new SetupError(complaint);
  }
}

function personOf({ cert, key, passphrase }: TlsIdentity): RestoreSignatory & { key: KeyObject } {
  const certificate = new X509Certificate(cert);
  const [, role, name] = /^URI:sealpost:\/\/person\/([a-z-]+)\/([^/,]+)$/.exec(certificate.subjectAltName ?? '') ?? [];
  const who = signatory.safeParse({
    role,
    name,
    certificate: createHash('sha256').update(certificate.raw).digest('hex'),
  });
  if (!who.success) throw new SetupError("this is not a person's certificate");
  return { ...who.data, key: createPrivateKey(passphrase === undefined ? { key } : { key, passphrase }) };
}

function signed(canonical: string, key: KeyObject): string {
  return signApproval(canonical, key, 'restore').toString('base64');
}

function text(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}
