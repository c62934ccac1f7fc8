// EnvelopedData (RFC 5652 §6.1) and AuthEnvelopedData (RFC 5083 §2.1) as structures; ciphertext left where it lies.
import { context, type DerNode, readOid, TAG } from '../pki/der.ts';
import { tlv } from '../pki/der-write.ts';
import { type BerNode, berChildren, enterBer, stringChunks, stringOctets, toDefinite } from './ber.ts';
import { MAX_RECIPIENTS } from './limits.ts';
import { type AlgorithmId, readAlgorithm } from './signed-data.ts';

interface EncryptedContent {
  /** OID of what is inside. */
  readonly contentType: string;
  readonly cipher: AlgorithmId;
  readonly ciphertext: readonly Buffer[];
}

export interface EnvelopedData {
  /** Each RecipientInfo as received. */
  readonly recipients: readonly BerNode[];
  readonly content: EncryptedContent;
  /** Present for AuthEnvelopedData only. */
  readonly authenticated?: { readonly tag: Buffer; readonly associatedData: Buffer | undefined };
}

/** Throws SmimeError `malformed-cms` or `limit-exceeded`. */
export function readEnvelopedData(node: DerNode, authenticated: boolean): EnvelopedData {
  const cursor = enterBer(node);
  cursor.next(TAG.integer);
  cursor.optional(context(0, true));
  const recipients = berChildren(cursor.next(TAG.set), MAX_RECIPIENTS);
  const content = readEncryptedContent(cursor.next(TAG.sequence));
  if (!authenticated) return { recipients, content };
  const attributes = cursor.optional(context(1, true));
  const tag = stringOctets(cursor.octetString());
  // RFC 5083 §2.2: the attributes are authenticated as a DER SET OF, not under their [1].
  const associatedData = attributes === undefined ? undefined : tlv(TAG.set, sortedContent(attributes));
  return { recipients, content, authenticated: { tag, associatedData } };
}

function sortedContent(attributes: BerNode): Buffer {
  return Buffer.concat(
    berChildren(attributes, MAX_RECIPIENTS)
      .map((child) => toDefinite(child))
      .sort(Buffer.compare),
  );
}

/** EncryptedData (RFC 5652 §8): no recipients, the key is known to both sides. */
export function readEncryptedData(node: DerNode): EnvelopedData {
  const cursor = enterBer(node);
  cursor.next(TAG.integer);
  return { recipients: [], content: readEncryptedContent(cursor.next(TAG.sequence)) };
}

/** EncryptedContentInfo. Content may be absent (RFC 5652 §6.1): then there is nothing to decrypt. */
function readEncryptedContent(node: DerNode): EncryptedContent {
  const cursor = enterBer(node);
  const contentType = readOid(cursor.next(TAG.oid));
  const cipher = readAlgorithm(cursor.next(TAG.sequence));
  const content = cursor.optionalContext(0);
  return { contentType, cipher, ciphertext: content === undefined ? [] : stringChunks(content) };
}
