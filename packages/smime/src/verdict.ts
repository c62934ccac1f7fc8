// What opening a message showed: facts per layer and signer, and one answer derived from them. 'verified' is the
// conjunction: every fact for one signer, and no broken signature anywhere.
import type { DigestName, SignatureScheme } from './cms/algorithms.ts';
import type { RecipientInfo } from './cms/recipient-info.ts';
import type { SignerProblem } from './cms/verify.ts';
import type { SmimeErrorCode } from './errors.ts';
import type { Certificate } from './pki/certificate.ts';
import type { PathResult } from './pki/path.ts';

export type Weakness =
  | 'md5'
  | 'sha1'
  | 'dsa'
  /** RSA below 2048 bits, or another key that may not verify (RFC 8551 §4.1). */
  | 'small-key'
  | '3des'
  | 'rc2'
  /** Decrypted CBC content without a good signature inside: the sender's words may have been altered. */
  | 'cbc-without-integrity'
  /** An encrypted part amid other parts; it was left alone. */
  | 'efail-structure'
  /** A signed part amid other parts, or parts added beside a signed one. */
  | 'partly-signed'
  /** The signature fits the text with other line ends than it was sent with. */
  | 'signed-over-lf'
  /** The signing time is not the time that the Date field shows. */
  | 'date-mismatch'
  /**
   * A signature directly inside is by somebody else, and one of the two is in clear (multipart/signed): mail programs differ
   * in whose they show, Thunderbird the inner, others the outer.
   */
  | 'other-inner-signer';

export interface SignerVerdict {
  /** `valid`: the signature holds for exactly this content. `unchecked`: algorithm or certificate unknown. */
  readonly integrity: 'valid' | 'broken' | 'unchecked';
  readonly problem?: SignerProblem;
  readonly certificate?: Certificate;
  readonly digest?: DigestName;
  readonly scheme?: SignatureScheme;
  readonly signingTime?: Date;
  /** Only of signers whose signature is valid, and when the path was asked for. */
  readonly path?: PathResult;
  /** The certificate names the From address. */
  readonly fromMatch: boolean;
  readonly weaknesses: readonly Weakness[];
  /** Content ciphers, and `rsa-oaep-DIGEST`, that the signer says it can read, best first. */
  readonly capabilities: readonly string[];
  /** Everything holds for this signer. */
  readonly verified: boolean;
}

/** `encrypted`: EncryptedData, for holders of a key that was agreed before (RFC 5652 §8). */
export type EncryptedForm = 'enveloped' | 'auth-enveloped' | 'encrypted';

export type Layer =
  | { readonly kind: 'signed'; readonly form: 'detached' | 'opaque'; readonly signers: readonly SignerVerdict[] }
  | {
      readonly kind: 'encrypted';
      readonly form: EncryptedForm;
      /** Undefined when the algorithm is unknown. */
      readonly cipher?: string;
      readonly opened: boolean;
      /** The cipher protects against changes. */
      readonly authenticated: boolean;
      readonly recipients: number;
      readonly recipient?: Certificate;
      readonly keyManagement?: RecipientInfo['kind'];
    }
  | { readonly kind: 'compressed' }
  | { readonly kind: 'certs-only'; readonly certificates: readonly Certificate[] }
  | { readonly kind: 'unknown'; readonly contentType: string };

/** Why a message is not verified; the first that applies in this order. */
export type VerdictProblem =
  | SmimeErrorCode
  | 'partly-encrypted'
  | 'partly-signed'
  | 'not-signed'
  | 'signature-broken'
  | 'other-inner-signer'
  | 'signature-unchecked'
  | 'weak-signature'
  | 'untrusted'
  | 'from-mismatch';

export interface FromMatch {
  /** Some valid signer's certificate names every From address. */
  readonly match: boolean;
  /** The address compared, when there is exactly one. */
  readonly address?: string;
  /** A valid signer's certificate names the Sender instead: told, never enough. */
  readonly sender?: string;
  /** The same of whoever sent the message on (Resent-From, Resent-Sender): the first of them whom such a certificate names. */
  readonly resent?: string;
}

/** Header protection (RFC 9788): fields inside against fields outside. Not evaluated yet. */
export interface HeaderProtection {
  readonly inner: readonly string[];
  readonly outer: readonly string[];
  readonly mismatch: readonly string[];
}

export interface Verdict {
  readonly verified: boolean;
  /** Some layer was encrypted and has been opened. */
  readonly encrypted: boolean;
  /** The whole message is signed, whatever the signature is worth. */
  readonly signed: boolean;
  /** From the outside in. */
  readonly layers: readonly Layer[];
  /** Of all layers. */
  readonly signers: readonly SignerVerdict[];
  readonly from: FromMatch;
  readonly weaknesses: readonly Weakness[];
  readonly headerProtection?: HeaderProtection;
  readonly problem?: VerdictProblem;
}

export interface VerdictFacts {
  readonly layers: readonly Layer[];
  readonly weaknesses: ReadonlySet<Weakness>;
  readonly from: Omit<FromMatch, 'match'>;
  readonly error?: SmimeErrorCode;
}

export function judge({ layers, weaknesses, from, error }: VerdictFacts): Verdict {
  const signers = layers.flatMap((layer) => (layer.kind === 'signed' ? layer.signers : []));
  const encrypted = layers.some((layer) => layer.kind === 'encrypted' && layer.opened);
  const partly = weaknesses.has('partly-signed');
  const signed = signers.length > 0 && !partly;
  const all = new Set([...weaknesses, ...signers.flatMap((signer) => signer.weaknesses)]);
  if (unprotectedCbc(layers)) all.add('cbc-without-integrity');
  if (otherInnerSigner(layers)) all.add('other-inner-signer');
  const problem = error ?? problemOf(signers, all, signed);
  return {
    verified: problem === undefined,
    encrypted,
    signed,
    layers,
    signers,
    from: { match: signers.some((signer) => signer.integrity === 'valid' && signer.fromMatch), ...from },
    weaknesses: [...all],
    ...(problem === undefined ? {} : { problem }),
  };
}

function problemOf(
  signers: readonly SignerVerdict[],
  weaknesses: ReadonlySet<Weakness>,
  signed: boolean,
): VerdictProblem | undefined {
  if (weaknesses.has('efail-structure')) return 'partly-encrypted';
  if (weaknesses.has('partly-signed')) return 'partly-signed';
  if (!signed) return 'not-signed';
  // Never add signatures up by OR: a broken one beside a good one is an attack, not a detail.
  if (signers.some((signer) => signer.integrity === 'broken')) return 'signature-broken';
  if (weaknesses.has('other-inner-signer')) return 'other-inner-signer';
  if (signers.some((signer) => signer.verified)) return undefined;
  const valid = signers.filter((signer) => signer.integrity === 'valid');
  if (valid.length === 0) return 'signature-unchecked';
  const strong = valid.filter((signer) => signer.weaknesses.length === 0);
  if (strong.length === 0) return 'weak-signature';
  return strong.some((signer) => signer.path === undefined || signer.path.ok) ? 'from-mismatch' : 'untrusted';
}

function unprotectedCbc(layers: readonly Layer[]): boolean {
  return layers.some((layer, index) => {
    if (layer.kind !== 'encrypted' || !layer.opened || layer.authenticated) return false;
    return !layers.slice(index + 1).some((inner) => inner.kind === 'signed' && isIntact(inner.signers));
  });
}

type SignedLayer = Extract<Layer, { kind: 'signed' }>;

/** Seen from the layer that vouches for From, else from the outermost one. */
function otherInnerSigner(layers: readonly Layer[]): boolean {
  const signed = layers.filter((layer) => layer.kind === 'signed');
  const vouching = signed.find(({ signers }) => signers.some((signer) => signer.fromMatch)) ?? signed[0];
  if (vouching === undefined) return false;
  const inside = signed.slice(signed.indexOf(vouching) + 1);
  return inside.some(
    (layer) => (layer.form === 'detached' || vouching.form === 'detached') && !shareSigner(layer, vouching),
  );
}

function shareSigner(layer: SignedLayer, vouching: SignedLayer): boolean {
  const known = new Set(vouching.signers.map((signer) => signer.certificate?.fingerprint));
  return layer.signers.some(({ certificate, fromMatch }) => fromMatch || known.has(certificate?.fingerprint));
}

function isIntact(signers: readonly SignerVerdict[]): boolean {
  return (
    signers.some(({ integrity }) => integrity === 'valid') && !signers.some(({ integrity }) => integrity === 'broken')
  );
}
