// The audit key: signs the log's heads, backups and reports of drills. Made with the store, kept in it like every key, in memory while it is open.

import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import { formatKeyId } from '@sealpost/core';
import { type ChainHead, type SignedHead, signHead } from '@sealpost/service';
import { installationTenant } from '../authority/authority.ts';
import type { KeyStore } from '../store/key-store.ts';
import { makePrivateKey } from '../store/make-key.ts';
import { privateKeyOf } from '../vault/wrap-key.ts';

/** An authority's kind of key: used in place, given out by no operation. */
const auditKey = { tenant: installationTenant, identity: 'audit', use: 'ca' } as const;
export const auditKeyId = formatKeyId({ ...auditKey, version: 1 });

export interface HeadSigner {
  readonly log: string;
  readonly publicKey: KeyObject;
  /** SPKI, base64. */
  readonly key: string;
  sign(head: ChainHead): SignedHead;
  /** Over a form that is no head's. */
  signForm(form: Buffer): Buffer;
}

/** The store's audit key, if it has one. */
export async function findAuditKey(keys: KeyStore): Promise<KeyObject | undefined> {
  const key = await keys.get(auditKeyId);
  return key && keys.withSecret(key, privateKeyOf);
}

export async function makeAuditKey(keys: KeyStore): Promise<KeyObject> {
  const privateKey = await makePrivateKey('ed25519');
  await keys.add({ ...auditKey, privateKey });
  return privateKey;
}

export function headSigner(log: string, privateKey: KeyObject): HeadSigner {
  const publicKey = createPublicKey(privateKey);
  return {
    log,
    publicKey,
    key: publicKey.export({ format: 'der', type: 'spki' }).toString('base64'),
    sign: (head) => signHead(log, head, privateKey),
    signForm: (form) => sign(null, form, privateKey),
  };
}
