export interface OcspResponse {
  readonly tbs: Buffer;
}
