// CRL distribution points in certificates and the issuing distribution point of CRLs (RFC 5280 §4.2.1.13, §5.2.5):
// the scope for which a CRL may speak.
import { children, context, type DerNode, enter, readBoolean, readDer, readNamedBits, TAG } from './der.ts';
import { sequence } from './der-write.ts';
import { nameKeys } from './name.ts';

/** Reasons as a bit mask in the order of ReasonFlags; bit 0 is unused. */
export const ALL_REASONS = 0b1_1111_1110;

/** Comparison keys of GeneralNames, one a name; undefined when the field is absent. */
type NameSet = readonly string[] | undefined;

export interface DistributionPoint {
  readonly name: NameSet;
  readonly reasons: number;
  /** Subject key (Certificate.subjectKey) of whoever signs the CRL when it is not the certificate's issuer. */
  readonly crlIssuer: string | undefined;
}

export interface IssuingDistributionPoint {
  readonly name: NameSet;
  readonly onlyUser: boolean;
  readonly onlyCa: boolean;
  readonly onlyAttribute: boolean;
  readonly reasons: number;
  readonly indirect: boolean;
}

/** `issuerDer`: the issuer's Name, to which a name relative to it is appended. */
export function readDistributionPoints(value: Buffer, issuerDer: Buffer): DistributionPoint[] {
  return children(readDer(value, TAG.sequence), 64).map((node) => {
    const cursor = enter(node);
    const name = cursor.optional(context(0, true));
    const reasons = cursor.optional(context(1));
    const crlIssuer = cursor.optional(context(2, true));
    cursor.end();
    const directory = crlIssuer === undefined ? undefined : children(crlIssuer, 64).find(isDirectory);
    return {
      name: readPointName(name, directory?.content ?? issuerDer),
      reasons: readReasons(reasons),
      crlIssuer: directory === undefined ? undefined : nameKeys(directory.content).join(','),
    };
  });
}

export function readIssuingDistributionPoint(value: Buffer, issuerDer: Buffer): IssuingDistributionPoint {
  const cursor = enter(readDer(value, TAG.sequence));
  const name = cursor.optional(context(0, true));
  const flag = (n: number): boolean => {
    const node = cursor.optional(context(n));
    return node !== undefined && readBoolean(node);
  };
  const onlyUser = flag(1);
  const onlyCa = flag(2);
  const reasons = readReasons(cursor.optional(context(3)));
  const indirect = flag(4);
  const onlyAttribute = flag(5);
  cursor.end();
  return { name: readPointName(name, issuerDer), onlyUser, onlyCa, onlyAttribute, reasons, indirect };
}

function isDirectory(node: DerNode): boolean {
  return node.tag === context(4, true);
}

/** DistributionPointName: full names, or one relative name below `baseDer`. */
function readPointName(node: DerNode | undefined, baseDer: Buffer): NameSet {
  if (node === undefined) return undefined;
  const choice = readDer(node.content);
  if (choice.tag === context(0, true)) return children(choice, 256).map(generalNameKey);
  const relative = Buffer.concat([readDer(baseDer).content, Buffer.from([TAG.set]), choice.bytes.subarray(1)]);
  return [directoryKey(sequence(relative))];
}

function generalNameKey(node: DerNode): string {
  return isDirectory(node) ? directoryKey(node.content) : node.bytes.toString('hex');
}

function directoryKey(nameDer: Buffer): string {
  return `directory:${nameKeys(nameDer).join(',')}`;
}

/** How a plain issuer name looks as the key of a point: for CRLs that name a point where the certificate has none. */
export function issuerPoint(issuerKey: string): string {
  return `directory:${issuerKey}`;
}

function readReasons(node: DerNode | undefined): number {
  if (node === undefined) return ALL_REASONS;
  return readNamedBits(node).reduce((mask, bit) => mask | (1 << bit), 0) & ALL_REASONS;
}
