// The walk through the layers of one message (RFC 8551 §3, RFC 2634 §1.1): from the outside in, each checked, until plain
// content is reached; what was found on the way, and what is to be handed on.
import { type MessageClaims, readClaims } from './claims.ts';
import { classifyEntity, findInnerParts, type SmimeForm } from './classify.ts';
import { BerCursor } from './cms/ber.ts';
import { decompress } from './cms/compressed.ts';
import { type ContentInfo, readContentInfo } from './cms/content-info.ts';
import { type Decrypted, decryptEnveloped, decryptWithSharedKeys } from './cms/decrypt.ts';
import { type EnvelopedData, readEncryptedData, readEnvelopedData } from './cms/enveloped-data.ts';
import type { KeyPort } from './cms/key-port.ts';
import { MAX_LAYERS } from './cms/limits.ts';
import { CONTENT_TYPE } from './cms/oids.ts';
import type { SharedSecrets } from './cms/shared-secrets.ts';
import { readSignedData, type SignedData } from './cms/signed-data.ts';
import { type CheckedSigner, carriedCertificates, checkSigners, type SignedContent } from './cms/verify.ts';
import { SmimeError, type SmimeErrorCode } from './errors.ts';
import { judgeSigner, namesAll, type TrustOptions } from './judge-signer.ts';
import { crlfToLineFeeds, isLineSafe, lineFeedsToCrlf } from './mime/canonical.ts';
import { type Entity, type HeaderField, readContent } from './mime/header.ts';
import type { Certificate } from './pki/certificate.ts';
import { type EncryptedForm, type FromMatch, judge, type Layer, type Verdict, type Weakness } from './verdict.ts';

export interface OpenOptions extends TrustOptions {
  readonly keys: KeyPort;
  /** Certificates whose keys may be used, and no others. */
  readonly recipients: readonly Certificate[];
  readonly secrets?: SharedSecrets;
  /** The address that the signer must own; default: every address of the From fields. False leaves it out. */
  readonly from?: string | false;
  /** Decrypt 3DES and RC2 too; the verdict says so. */
  readonly allowLegacy?: boolean;
  /** Signatures to take off: those inside content that was decrypted (default), all, or none. */
  readonly strip?: 'decrypted' | 'all' | 'none';
  /**
   * Shown what each layer held, from the outside in, octet for octet; of a detached signature the text with CRLF. Octets
   * are to be read during the call only: the layer inside may be opened in their place.
   */
  readonly onContent?: (octets: Buffer) => void;
}

/** Addresses of Sender and Resent fields compared: a field may hold thousands. */
const MAX_OTHERS = 16;

/** The state of one opening. What is broken comes out of `run` as SmimeError. */
export class Opening {
  readonly #options: OpenOptions;
  readonly #layers: Layer[] = [];
  readonly #weaknesses = new Set<Weakness>();
  #carried: Certificate[] = [];
  #claims: MessageClaims;
  #error: SmimeErrorCode | undefined;
  readonly #lineSafe = new Map<Buffer, boolean>();
  #decrypted = false;
  /** A signature outside was kept, so what is inside it cannot be handed on in another form. */
  #signatureKept = false;
  undecryptable = false;
  /** What replaces the content of the message; undefined when nothing does. */
  kept: Entity | undefined;
  /** Of the outermost layer. */
  content: Buffer | undefined;
  /** Memory that belongs to this opening alone. */
  scratch: ArrayBufferLike | undefined;

  constructor(options: OpenOptions) {
    this.#options = options;
    this.#claims = readClaims([], options.from);
  }

  addressed(fields: readonly HeaderField[]): void {
    this.#claims = readClaims(fields, this.#options.from);
  }

  /** Whether S/MIME lies below the top of an entity that is none itself; noted, and left alone. */
  lookInside(entity: Entity): boolean {
    const { signed, encrypted } = findInnerParts(entity);
    if (signed) this.#weaknesses.add('partly-signed');
    if (encrypted) this.#weaknesses.add('efail-structure');
    return signed || encrypted;
  }

  async run(outermost: SmimeForm, entity: Entity | undefined): Promise<void> {
    let form = outermost;
    let current = entity;
    for (let depth = 0; form.form !== 'none'; depth++) {
      if (depth === MAX_LAYERS) throw new SmimeError('limit-exceeded');
      const inside = await this.#layer(form);
      if (inside === undefined) return;
      this.content ??= inside.content;
      this.#options.onContent?.(inside.content);
      current = readContent(inside.content);
      if (inside.replace) this.kept = current;
      form = inside.type === CONTENT_TYPE.data ? classifyEntity(current) : nested(inside.type, inside.content);
    }
    // What an unprotected multipart inside a protected layer holds is covered by that layer; in plain mail it is not.
    if (current !== undefined && this.#layers.length > 0) this.#lookBelow(current);
  }

  #lookBelow(entity: Entity): void {
    if (findInnerParts(entity).encrypted) this.#weaknesses.add('efail-structure');
  }

  #layer(form: SmimeForm): Inside | undefined | Promise<Inside | undefined> {
    switch (form.form) {
      case 'detached':
        return this.#detached(form);
      case 'object':
        return this.#object(form.info, form.scratch);
      case 'broken':
        throw new SmimeError(form.code);
      case 'none':
        return undefined;
    }
  }

  #detached(form: Extract<SmimeForm, { form: 'detached' }>): Inside {
    const info = readContentInfo(form.object);
    if (info.type !== CONTENT_TYPE.signedData || info.content === undefined) throw new SmimeError('malformed-cms');
    const signed = readSignedData(info.content);
    this.#carry(signed);
    const { content, checked } = this.#checkDetached(signed, form);
    // CVE-2018-18509: a signature that brings its own content must not vouch for another text.
    const differs = signed.content !== undefined && !sameContent(signed.content, form.content);
    this.#signed('detached', differs ? checked.map(contentDiffers) : checked);
    if (!form.extraParts) return { type: CONTENT_TYPE.data, content, replace: this.#stripSignature() };
    // The signature stays, and so do the parts that somebody has put beside the signed one.
    this.#weaknesses.add('partly-signed');
    this.#signatureKept = true;
    return { type: CONTENT_TYPE.data, content, replace: false };
  }

  /** A file beside its signature may be anything and is taken as it is first; a part of a message is text. */
  #checkDetached(signed: SignedData, { content, isText }: Extract<SmimeForm, { form: 'detached' }>): CheckedDetached {
    const text = this.#textContent(content);
    const [canonical = content] = text.octets;
    if (!isText && canonical !== content) {
      const checked = this.#check(signed, { octets: [content], withLineFeeds: () => undefined });
      if (checked.every(({ problem }) => problem === undefined)) return { content, checked };
    }
    return { content: canonical, checked: this.#check(signed, text) };
  }

  /** Text is signed with CRLF, however it lies here (RFC 8551 §3.1.1). */
  #textContent(part: Buffer): SignedContent {
    const canonical = this.isLineSafe(part) ? part : lineFeedsToCrlf(part);
    return {
      octets: [canonical],
      withLineFeeds: () => [canonical === part ? crlfToLineFeeds(part) : part],
    };
  }

  /** Remembered, because signed content is looked at again when it is handed on. */
  isLineSafe(content: Buffer): boolean {
    const known = this.#lineSafe.get(content);
    if (known !== undefined) return known;
    const safe = isLineSafe(content);
    this.#lineSafe.set(content, safe);
    return safe;
  }

  #object(info: ContentInfo, scratch: boolean): Inside | undefined | Promise<Inside | undefined> {
    if (info.content === undefined) throw new SmimeError('malformed-cms');
    switch (info.type) {
      case CONTENT_TYPE.signedData:
        return this.#opaque(readSignedData(info.content));
      case CONTENT_TYPE.envelopedData:
        return this.#enveloped(info, scratch, false);
      case CONTENT_TYPE.authEnvelopedData:
        return this.#enveloped(info, scratch, true);
      case CONTENT_TYPE.encryptedData:
        return this.#encrypted(readEncryptedData(info.content));
      case CONTENT_TYPE.compressedData:
        this.#layers.push({ kind: 'compressed' });
        return { type: CONTENT_TYPE.data, content: decompress(info.content), replace: this.#mayReplace() };
      default:
        this.#layers.push({ kind: 'unknown', contentType: info.type });
        throw new SmimeError('unsupported-algorithm');
    }
  }

  #opaque(signed: SignedData): Inside | undefined {
    if (signed.signers.length === 0 && signed.content === undefined) {
      this.#layers.push({ kind: 'certs-only', certificates: carriedCertificates(signed) });
      return undefined;
    }
    if (signed.content === undefined) throw new SmimeError('content-missing');
    const octets = signed.content;
    this.#carry(signed);
    this.#signed('opaque', this.#check(signed, { octets, withLineFeeds: () => undefined }));
    const [only] = octets;
    const content = octets.length === 1 && only !== undefined ? only : Buffer.concat(octets);
    return { type: signed.contentType, content, replace: this.#stripSignature() };
  }

  #carry(signed: SignedData): void {
    this.#carried = [...carriedCertificates(signed), ...this.#carried];
  }

  #check(signed: SignedData, content: SignedContent): CheckedSigner[] {
    const { intermediates = [], recipients } = this.#options;
    return checkSigners(signed, content, [...this.#carried, ...intermediates, ...recipients]);
  }

  #signed(form: 'detached' | 'opaque', checked: readonly CheckedSigner[]): void {
    const signers = checked.map((signer) => judgeSigner(signer, this.#carried, this.#claims, this.#options));
    this.#layers.push({ kind: 'signed', form, signers });
  }

  async #enveloped(info: ContentInfo, mayScratch: boolean, authenticated: boolean): Promise<Inside | undefined> {
    if (info.content === undefined) throw new SmimeError('malformed-cms');
    const enveloped = readEnvelopedData(info.content, authenticated);
    const { keys, recipients, secrets, allowLegacy = false } = this.#options;
    if (mayScratch) this.scratch = info.content.content.buffer;
    const request = {
      enveloped,
      keys,
      recipients,
      allowLegacy,
      scratch: mayScratch,
      ...(secrets === undefined ? {} : { secrets }),
    };
    const decrypted = await decryptEnveloped(request);
    return this.#opened(decrypted, authenticated ? 'auth-enveloped' : 'enveloped', enveloped);
  }

  #encrypted(enveloped: EnvelopedData): Inside | undefined {
    const { secrets = {}, allowLegacy = false } = this.#options;
    return this.#opened(decryptWithSharedKeys(enveloped, secrets, allowLegacy), 'encrypted', enveloped);
  }

  #opened(
    decrypted: Decrypted,
    form: EncryptedForm,
    { recipients, content: { contentType } }: EnvelopedData,
  ): Inside | undefined {
    const { content, legacy: _, ...facts } = decrypted;
    if (facts.cipher === 'des-ede3-cbc') this.#weaknesses.add('3des');
    if (facts.cipher === 'rc2-cbc') this.#weaknesses.add('rc2');
    this.#layers.push({
      kind: 'encrypted',
      form,
      opened: content !== undefined,
      recipients: recipients.length,
      ...facts,
    });
    if (content === undefined) {
      this.undecryptable = true;
      this.#error = 'undecryptable';
      return undefined;
    }
    this.#decrypted = true;
    // What was signed outside is gone now (triple wrapping, RFC 2634 §1.1): that signature keeps nothing any more.
    this.#signatureKept = false;
    return { type: contentType, content, replace: true };
  }

  #stripSignature(): boolean {
    const { strip = 'decrypted' } = this.#options;
    const take = strip === 'all' || (strip === 'decrypted' && this.#decrypted);
    if (!take) this.#signatureKept = true;
    return take && this.#mayReplace();
  }

  #mayReplace(): boolean {
    return !this.#signatureKept;
  }

  fail(code: SmimeErrorCode): void {
    this.#error = code;
  }

  get verdict(): Verdict {
    const [address, ...others] = this.#claims.from ?? [];
    const from: Omit<FromMatch, 'match'> = {
      ...(address === undefined || others.length > 0 ? {} : { address }),
      ...this.#othersNamed(),
    };
    const error = this.#error === undefined ? {} : { error: this.#error };
    return judge({ layers: this.#layers, weaknesses: this.#weaknesses, from, ...error });
  }

  #othersNamed(): Pick<FromMatch, 'sender' | 'resent'> {
    const { sender, resent } = this.#claims;
    const [named] = sender.length === 1 ? this.#named(sender) : [];
    const [sentOn] = this.#named(resent);
    return { ...(named === undefined ? {} : { sender: named }), ...(sentOn === undefined ? {} : { resent: sentOn }) };
  }

  /** Those addresses that the certificate of a valid signer names. */
  #named(addresses: readonly string[]): string[] {
    const signers = this.#layers.flatMap((layer) => (layer.kind === 'signed' ? layer.signers : []));
    const valid = signers.flatMap(({ integrity, certificate }) => (integrity === 'valid' ? (certificate ?? []) : []));
    return addresses
      .slice(0, MAX_OTHERS)
      .filter((address) => valid.some((certificate) => namesAll(certificate, [address], this.#options)));
  }
}

/** What a layer held; `replace` when it takes the place of the message's content. */
interface Inside {
  readonly type: string;
  readonly content: Buffer;
  readonly replace: boolean;
}

/** A detached signature checked, and the octets that it was checked against. */
interface CheckedDetached {
  readonly content: Buffer;
  readonly checked: readonly CheckedSigner[];
}

/** CMS directly inside CMS, without MIME between (RFC 5652 §4 allows it). */
function nested(type: string, content: Buffer): SmimeForm {
  const known = Object.values(CONTENT_TYPE) as readonly string[];
  if (!known.includes(type)) return { form: 'none' };
  return { form: 'object', info: { type, content: new BerCursor(content).next() }, scratch: false };
}

function sameContent(carried: readonly Buffer[], part: Buffer): boolean {
  const octets = Buffer.concat(carried);
  return octets.length === 0 || octets.equals(part) || lineFeedsToCrlf(octets).equals(lineFeedsToCrlf(part));
}

function contentDiffers(signer: CheckedSigner): CheckedSigner {
  return { ...signer, problem: 'content-changed' };
}
