// An enveloped object opened with the keys of its recipients (RFC 5652 §6, RFC 5083). One outcome for every way to fail.
import type { Certificate } from '../pki/certificate.ts';
import type { BerNode } from './ber.ts';
import { type CipherSetting, decryptContent, readCipherSetting } from './content-cipher.ts';
import type { EnvelopedData } from './enveloped-data.ts';
import type { KeyPort } from './key-port.ts';
import { MAX_RECIPIENT_TRIES } from './limits.ts';
import { openWithBareKey } from './open-recipient.ts';
import { isFor, type RecipientInfo, readRecipientInfo } from './recipient-info.ts';
import { openKek, openPassword, type SharedSecrets } from './shared-secrets.ts';

export interface DecryptRequest {
  readonly enveloped: EnvelopedData;
  readonly keys: KeyPort;
  /** Certificates whose keys may be used. */
  readonly recipients: readonly Certificate[];
  readonly secrets?: SharedSecrets;
  readonly allowLegacy: boolean;
  /** The ciphertext's memory may be overwritten. */
  readonly scratch: boolean;
}

export interface Decrypted {
  /** The cipher's name; undefined when it is unknown. */
  readonly cipher?: string;
  readonly legacy: boolean;
  /** Whether the cipher authenticates what it decrypts. */
  readonly authenticated: boolean;
  /** Absent when it could not be opened, for whatever reason. */
  readonly content?: Buffer;
  readonly recipient?: Certificate;
  readonly keyManagement?: RecipientInfo['kind'];
}

export async function decryptEnveloped(request: DecryptRequest): Promise<Decrypted> {
  const setting = settingOf(request.enveloped);
  if (setting === undefined) return { legacy: false, authenticated: false };
  const { name, legacy, mode } = setting.cipher;
  const facts = { cipher: name, legacy, authenticated: mode !== 'cbc' && mode !== 'rc2' };
  if (legacy && !request.allowLegacy) return facts;
  return { ...facts, ...(await tryRecipients(request, setting)) };
}

/** EncryptedData: the shared keys are content keys themselves. */
export function decryptWithSharedKeys(
  enveloped: EnvelopedData,
  secrets: SharedSecrets,
  allowLegacy: boolean,
): Decrypted {
  const setting = settingOf(enveloped);
  if (setting === undefined) return { legacy: false, authenticated: false };
  const facts = { cipher: setting.cipher.name, legacy: setting.cipher.legacy, authenticated: false };
  if (facts.legacy && !allowLegacy) return facts;
  for (const { key } of (secrets.keys ?? []).slice(0, MAX_RECIPIENT_TRIES)) {
    const content = decryptContent(enveloped, setting, key);
    if (content !== undefined) return { ...facts, content };
  }
  return facts;
}

function settingOf(enveloped: EnvelopedData): CipherSetting | undefined {
  try {
    return readCipherSetting(enveloped.content.cipher);
  } catch {
    return undefined;
  }
}

type Opening = Pick<Decrypted, 'content' | 'recipient' | 'keyManagement'>;

async function tryRecipients(request: DecryptRequest, setting: CipherSetting): Promise<Opening> {
  const openers = request.enveloped.recipients.flatMap((node) => openersFor(request, node, setting.keyLength));
  // A failed try spoils the ciphertext for the next one, so there must be only one.
  const scratch = request.scratch && openers.length === 1;
  for (const { kind, recipient, key } of openers.slice(0, MAX_RECIPIENT_TRIES)) {
    const contentKey = await key();
    if (contentKey === undefined) continue;
    const content = decryptContent(request.enveloped, setting, contentKey, scratch);
    contentKey.fill(0);
    if (content !== undefined)
      return { content, keyManagement: kind, ...(recipient === undefined ? {} : { recipient }) };
  }
  return {};
}

function readInfo(node: BerNode): RecipientInfo {
  try {
    return readRecipientInfo(node);
  } catch {
    return { kind: 'unknown' };
  }
}

interface Opener {
  readonly kind: RecipientInfo['kind'];
  readonly recipient?: Certificate;
  key(): Promise<Buffer | undefined> | Buffer | undefined;
}

/** Only keys that the info names are ever used: trying others succeeds at random (RSA v1.5) and would be an oracle. */
function openersFor(request: DecryptRequest, node: BerNode, keyLength: number): Opener[] {
  const info = readInfo(node);
  const { kind } = info;
  const secrets = request.secrets ?? {};
  if (kind === 'kek') return [{ kind, key: () => openKek(info, secrets) }];
  if (kind === 'password') return [{ kind, key: () => openPassword(info, secrets) }];
  const named: Opener[] = request.recipients
    .filter((certificate) => isFor(info, certificate))
    .map((certificate) => ({
      kind,
      recipient: certificate,
      key: () => request.keys.openRecipient({ certificate, recipientInfo: node.bytes, keyLength }),
    }));
  const bare = (secrets.privateKeys ?? []).map((key) => ({ kind, key: () => openWithBareKey(key, info, keyLength) }));
  return [...named, ...bare];
}
