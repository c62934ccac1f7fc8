// Opens S/MIME: a message as it came, or a bare CMS object. Bad input ends in a closed union, never in an exception.

import { classifyEntity, type SmimeForm } from './classify.ts';
import { decodeObject, readContentInfo } from './cms/content-info.ts';
import { SmimeError, type SmimeErrorCode } from './errors.ts';
import { readEntity } from './mime/header.ts';
import { Opening, type OpenOptions } from './opening.ts';
import { replaceContent } from './replace-content.ts';
import type { Verdict } from './verdict.ts';

export type Opened =
  | { readonly kind: 'plain' }
  | {
      readonly kind: 'opened';
      /** The message to hand on. */
      readonly message: Buffer;
      readonly changed: boolean;
      readonly verdict: Verdict;
    }
  /** Every way in which decryption fails. */
  | { readonly kind: 'undecryptable'; readonly verdict: Verdict }
  | { readonly kind: 'broken'; readonly verdict: Verdict; readonly error: { readonly code: SmimeErrorCode } };

export type OpenedObject =
  | { readonly kind: 'opened'; readonly content: Buffer; readonly verdict: Verdict }
  | Extract<Opened, { kind: 'undecryptable' | 'broken' }>;

/**
 * Opens a message. Bad input ends in the union, never in an exception; only what the key port throws passes through.
 * `message` is not changed.
 */
export async function open(message: Buffer, options: OpenOptions): Promise<Opened> {
  const opening = new Opening(options);
  try {
    const entity = readEntity(message);
    opening.addressed(entity.fields);
    const form = classifyEntity(entity);
    if (form.form === 'none' && !opening.lookInside(entity)) return { kind: 'plain' };
    await opening.run(form, entity);
    const { verdict, kept } = opening;
    if (opening.undecryptable) return { kind: 'undecryptable', verdict };
    const changed = kept !== undefined;
    const handed =
      kept === undefined ? message : replaceContent(entity.fields, kept, opening.isLineSafe(kept.raw), opening.scratch);
    return { kind: 'opened', message: handed, changed, verdict };
  } catch (error) {
    return broken(opening, error);
  }
}

/**
 * Opens a bare CMS object (BER, PEM or base64). `content` is that of the object itself, whatever it holds further inside.
 * `detached` is the content of a detached signature, signed as it is or as text with CRLF. Without `from` in the options
 * nobody's address is compared. What the key port throws passes through.
 */
export async function openObject(bytes: Buffer, options: OpenOptions, detached?: Buffer): Promise<OpenedObject> {
  const opening = new Opening({ ...options, from: options.from ?? false });
  try {
    const object = decodeObject(bytes);
    const form: SmimeForm =
      detached === undefined
        ? { form: 'object', info: readContentInfo(object), scratch: false }
        : { form: 'detached', content: detached, object, extraParts: false, isText: false };
    opening.addressed([]);
    await opening.run(form, undefined);
    const { verdict } = opening;
    if (opening.undecryptable) return { kind: 'undecryptable', verdict };
    return { kind: 'opened', content: opening.content ?? Buffer.alloc(0), verdict };
  } catch (error) {
    return broken(opening, error);
  }
}

function broken(opening: Opening, error: unknown): Extract<Opened, { kind: 'broken' }> {
  if (!(error instanceof SmimeError)) throw error;
  opening.fail(error.code);
  return { kind: 'broken', verdict: opening.verdict, error: { code: error.code } };
}
