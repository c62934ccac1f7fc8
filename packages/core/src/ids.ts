// Names of things: tenants, messages, deliveries, keys, stages. Branded strings, so that one is never passed for another.
// A key id is tenant / identity / use / version (DESIGN.md, "What is authenticated").

import { randomBytes } from 'node:crypto';
import { fail } from './errors.ts';

declare const brand: unique symbol;
type Branded<B extends string> = string & { readonly [brand]: B };

export type TenantId = Branded<'tenant'>;
export type MessageId = Branded<'message'>;
/** One group of recipients of one message that gets the same bytes. */
export type DeliveryId = Branded<'delivery'>;
export type KeyId = Branded<'key'>;
/** SHA-256 of a certificate, lower-case hex. */
export type Fingerprint = string;

export type Direction = 'outbound' | 'inbound';
/** The stages that hold a spool key of their own. */
export type StageName = 'crypto' | 'delivery';
/** The processes that hold a service certificate. */
export type ServiceRole = 'ingress' | 'crypto-worker' | 'egress' | 'key-service';
/** What a key version may be used for. `mac` keys authenticate our own markers (RFC 2104), `backup` keys prove that a backup opens. */
export type KeyUse = 'signing' | 'decryption' | 'spool' | 'mac' | 'ca' | 'backup';

const tenantPattern = /^[a-z][a-z0-9-]{0,62}$/;
const messagePattern = /^m[0-9a-f]{11}[0-9a-f]{20}$/;
const deliveryPattern = /^m[0-9a-f]{31}-[0-9a-z]{1,40}$/;
const keyUses: readonly string[] = ['signing', 'decryption', 'spool', 'mac', 'ca', 'backup'];

/** A tenant id: lower-case letters, digits and dashes, at most 63 characters, a letter first. */
export function tenantId(text: string): TenantId {
  if (!tenantPattern.test(text)) throw fail('id-invalid');
  return text as TenantId;
}

/** A new message id, sortable by time; never digits only and free of `:` because it becomes a BullMQ job id. */
export function newMessageId(now: Date): MessageId {
  const time = now.getTime().toString(16).padStart(11, '0');
  return `m${time}${randomBytes(10).toString('hex')}` as MessageId;
}

export function messageId(text: string): MessageId {
  if (!messagePattern.test(text)) throw fail('id-invalid');
  return text as MessageId;
}

/** The id of a delivery: the message's and the plan group's, so a retry that reuses the plan gives the same id. */
export function deliveryId(message: MessageId, group: string): DeliveryId {
  return parseDeliveryId(`${message}-${group}`);
}

export function parseDeliveryId(text: string): DeliveryId {
  if (!deliveryPattern.test(text)) throw fail('id-invalid');
  return text as DeliveryId;
}

/** The message that a delivery belongs to. */
export function messageOf(delivery: DeliveryId): MessageId {
  return messageId(delivery.slice(0, delivery.indexOf('-')));
}

export interface KeyName {
  readonly tenant: TenantId;
  /** An address for a person's keys, `stage.crypto` and the like for the gateway's own. */
  readonly identity: string;
  readonly use: KeyUse;
  readonly version: number;
}

/** `tenant/identity/use/version`; the identity is percent-encoded, so the slashes stay unambiguous. */
export function formatKeyId(name: KeyName): KeyId {
  return `${name.tenant}/${encodeURIComponent(name.identity)}/${name.use}/${name.version}` as KeyId;
}

/** Reads a key id; throws `id-invalid` for anything that `formatKeyId` would not have written. */
export function parseKeyId(text: string): KeyName {
  const [tenant, identity, use, version, ...rest] = text.split('/');
  if (!tenant || !identity || !use || !version || rest.length > 0 || text.length > 1024) throw fail('id-invalid');
  if (!keyUses.includes(use) || !/^[1-9][0-9]{0,8}$/.test(version)) throw fail('id-invalid');
  const name = {
    tenant: tenantId(tenant),
    identity: decodeIdentity(identity),
    use: use as KeyUse,
    version: Number(version),
  };
  if (formatKeyId(name) !== text) throw fail('id-invalid');
  return name;
}

function decodeIdentity(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw fail('id-invalid');
  }
}

/** The identity that holds a stage's spool key. */
export function spoolIdentity(stage: StageName): string {
  return `stage.${stage}`;
}
