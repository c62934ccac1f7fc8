// Wycheproof's files as far as they are read, and what a judge of their vectors is.

export interface Vector extends Readonly<Record<string, string>> {
  readonly result: 'valid' | 'invalid' | 'acceptable';
}

export interface Group extends Readonly<Record<string, unknown>> {
  readonly type: string;
  readonly curve?: string;
  readonly sha?: string;
  readonly mgfSha?: string;
  readonly sLen?: number;
  readonly publicKeyDer?: string;
  readonly privateKeyPkcs8?: string;
  readonly privateKey?: Readonly<Record<string, string>>;
  readonly tests: readonly Vector[];
}

/** Whether the engine takes the vector; undefined where it does not do what the vector needs. */
export type Judge = (group: Group, file: string) => ((vector: Vector) => boolean) | undefined;

export const hex = (text = ''): Buffer => Buffer.from(text, 'hex');
