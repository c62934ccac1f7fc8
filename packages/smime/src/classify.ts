// What S/MIME form an entity has (RFC 8551 §3), judged by what is in it more than by its labels: senders get
// smime-type, x- prefixes and file names wrong in every way.
import { type ContentInfo, decodeObject, readContentInfo } from './cms/content-info.ts';
import { typeOf } from './mime/canonical.ts';
import { boundaryOf, type ParameterizedValue, parseParameterized } from './mime/content-type.ts';
import { type Entity, firstValue, readEntity } from './mime/header.ts';
import { MAX_ENTITIES, MAX_MIME_DEPTH } from './mime/limits.ts';
import { readMultipart } from './mime/multipart.ts';
import { decodeBase64, decodeTransfer, LARGE } from './mime/transfer.ts';

export type SmimeForm =
  | { readonly form: 'none' }
  /**
   * multipart/signed: the signed part byte for byte, the decoded signature, and whether other parts stand beside. Signed
   * as `isText` it has CRLF, however it lies here.
   */
  | {
      readonly form: 'detached';
      readonly content: Buffer;
      readonly object: Buffer;
      readonly extraParts: boolean;
      readonly isText: boolean;
    }
  /** `scratch`: the octets are in memory of their own, which whoever opens them may overwrite. */
  | { readonly form: 'object'; readonly info: ContentInfo; readonly scratch: boolean }
  /** Says that it is S/MIME and is not. */
  | { readonly form: 'broken'; readonly code: 'malformed-cms' | 'malformed-mime' };

const OBJECT_TYPES: ReadonlySet<string> = new Set(['application/pkcs7-mime', 'application/x-pkcs7-mime']);
const SIGNATURE_TYPES: ReadonlySet<string> = new Set(['application/pkcs7-signature', 'application/x-pkcs7-signature']);
const NAME = /\.p7[mcz]$/i;

export function isObjectType(type: ParameterizedValue): boolean {
  return OBJECT_TYPES.has(type.value);
}

export function isSignatureType(type: ParameterizedValue): boolean {
  return SIGNATURE_TYPES.has(type.value);
}

/** multipart/signed of S/MIME by its protocol, or without one by its second part. */
export function isDetachedType(type: ParameterizedValue): boolean {
  if (type.value !== 'multipart/signed') return false;
  const protocol = type.parameters.get('protocol')?.toLowerCase();
  return protocol === undefined || SIGNATURE_TYPES.has(protocol);
}

/** A file name that promises a CMS object, on a type that promises nothing. */
export function isNamedObject(entity: Entity, type: ParameterizedValue): boolean {
  if (type.value !== 'application/octet-stream') return false;
  const disposition = firstValue(entity.fields, 'content-disposition');
  const filename = disposition === undefined ? undefined : parseParameterized(disposition).parameters.get('filename');
  return NAME.test(filename ?? type.parameters.get('name') ?? '');
}

export function classifyEntity(entity: Entity): SmimeForm {
  const type = typeOf(entity.fields);
  if (isDetachedType(type)) return classifyDetached(entity, type);
  const named = isNamedObject(entity, type);
  if (!named && !isObjectType(type) && !isSignatureType(type)) return { form: 'none' };
  try {
    const decoded = decodeEntity(entity);
    const octets = decodeObject(decoded.octets);
    const scratch = decoded.scratch && octets === decoded.octets;
    return { form: 'object', info: readContentInfo(octets), scratch };
  } catch {
    return isObjectType(type) ? { form: 'broken', code: 'malformed-cms' } : { form: 'none' };
  }
}

/** Large base64 is decoded with room for the message's header in front, so that what is inside can be handed on in place. */
function decodeEntity(entity: Entity): { octets: Buffer; scratch: boolean } {
  const encoding = firstValue(entity.fields, 'content-transfer-encoding')?.toLowerCase();
  if (encoding !== 'base64') return { octets: decodeTransfer(entity.body, encoding), scratch: false };
  const octets = decodeBase64(entity.body, entity.raw.length - entity.body.length);
  return { octets, scratch: entity.body.length > LARGE };
}

function classifyDetached(entity: Entity, type: ParameterizedValue): SmimeForm {
  const boundary = boundaryOf(type);
  if (boundary === undefined) return { form: 'broken', code: 'malformed-mime' };
  const { parts } = readMultipart(entity.body, boundary);
  const [content, second] = parts;
  if (content === undefined || second === undefined) return { form: 'broken', code: 'malformed-mime' };
  const signature = readEntity(second);
  if (!isSignatureType(typeOf(signature.fields))) {
    // Without a protocol that says otherwise this may be PGP or anything.
    const ours = type.parameters.has('protocol');
    return ours ? { form: 'broken', code: 'malformed-mime' } : { form: 'none' };
  }
  try {
    return {
      form: 'detached',
      content,
      object: decodeObject(decodeEntity(signature).octets),
      extraParts: parts.length > 2,
      isText: true,
    };
  } catch {
    return { form: 'broken', code: 'malformed-cms' };
  }
}

/** S/MIME found below the top of an entity that itself is none. */
export interface InnerParts {
  readonly signed: boolean;
  readonly encrypted: boolean;
}

/** The parts of a multipart as entities; none where its bounds are exceeded: it is looked at, not opened. */
export function partsOf(entity: Entity, type: ParameterizedValue): Entity[] {
  const boundary = type.value.startsWith('multipart/') ? boundaryOf(type) : undefined;
  if (boundary === undefined) return [];
  try {
    return readMultipart(entity.body, boundary).parts.map(readEntity);
  } catch {
    return [];
  }
}

/**
 * Looks for protected parts inside multiparts, by type only. They are named, never opened: showing a part decrypted amid
 * foreign text is the EFAIL attack, showing its signature as the message's is forgery. An attached message is a message of
 * its own, with protection of its own, and stays shut.
 */
export function findInnerParts(entity: Entity): InnerParts {
  let [signed, encrypted, count] = [false, false, 0];
  const queue = [{ entity, depth: 0 }];
  for (let next = queue.pop(); next !== undefined && count < MAX_ENTITIES; next = queue.pop()) {
    count += 1;
    const type = typeOf(next.entity.fields);
    if (count > 1 && isDetachedType(type)) signed = true;
    if (count > 1 && (isObjectType(type) || isNamedObject(next.entity, type))) {
      if (/signed|certs/i.test(type.parameters.get('smime-type') ?? '')) signed = true;
      else encrypted = true;
    }
    if (next.depth === MAX_MIME_DEPTH) continue;
    for (const part of partsOf(next.entity, type).toReversed()) queue.push({ entity: part, depth: next.depth + 1 });
  }
  return { signed, encrypted };
}
