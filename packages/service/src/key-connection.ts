// One caller's connections to the key service: mTLS with its own credential, TLS 1.3 only, kept alive, with a deadline and a
// bound on everything that comes back. An answer's code becomes the same error here that it was there.

import { Agent, request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { type ErrorCode, fail, isErrorCode, type TraceContext } from '@sealpost/core';
import { headHeader, parseHead } from './audit/signed-head.ts';
import type { KeyServiceConfig } from './config/key-service-client.ts';
import { isKeyFaultCode, KeyFault } from './key-protocol/faults.ts';
import { type KeyAnswer, type KeyOperation, type KeyRequestInput, keyOperations } from './key-protocol/operations.ts';
import { readAuthorities, readIdentity, type TlsFiles } from './tls.ts';

/** Longer than the service's own deadline for its audit log, shorter than a stage's patience. */
const requestTimeoutMs = 8_000;
/** A list of identities is the longest answer. */
const maxAnswer = 64 * 1024 * 1024;
const maxSockets = 16;

/** Work that others approved may take long: keys are rewrapped, a backup is read. */
const actTimeoutMs = 10 * 60_000;

/** Whose credential is shown: that of a stage or of the first operator, by the name of its files, or a person's own files. */
export type KeyCaller = 'ingress' | 'crypto-worker' | 'egress' | 'operator' | TlsFiles;

export interface KeyConnection {
  /**
   * Errors: `key-service-unavailable` when nobody answers; the code of the answer, of the pipeline's table (SealpostError) or of
   * the key service's own (KeyFault).
   */
  call<O extends KeyOperation>(
    operation: O,
    request: KeyRequestInput<O>,
    trace?: TraceContext | undefined,
  ): Promise<KeyAnswer<O>>;
  close(): void;
}

/** Reads the credential; connects with the first call. Throws SetupError for files that cannot be used. */
export function openKeyConnection(keyService: KeyServiceConfig, caller: KeyCaller): KeyConnection {
  const { url, caFile, credentials, passphraseFile } = keyService;
  const own = (name: string): TlsFiles => ({
    certificateFile: join(credentials, `${name}.crt`),
    keyFile: join(credentials, `${name}.key`),
    passphraseFile,
  });
  const identity = readIdentity(typeof caller === 'string' ? own(caller) : caller);
  const agent = new Agent({
    ...identity,
    ca: readAuthorities(caFile),
    minVersion: 'TLSv1.3',
    keepAlive: true,
    maxSockets,
    // A resumed session would not show the certificate again.
    maxCachedSessions: 0,
  });

  /** The highest head of the audit log that an answer carried: shown with each request, so that a log that was cut is found. */
  let seen: string | undefined;
  const see = (text: string): void => {
    const [head, known] = [parseHead(text), parseHead(seen ?? '')];
    // Answers overtake each other. A log of another name took the place of the one known; the service judges whether it may.
    if (head && (!known || known.log !== head.log || known.seq < head.seq)) seen = text;
  };

  return {
    async call(operation, request, trace) {
      const { answer } = keyOperations[operation];
      const body = encodeRequest(operation, request);
      const headers = { ...(trace ? { traceparent: trace.traceparent } : {}), ...(seen ? { [headHeader]: seen } : {}) };
      const { status, text, head } = await post(
        new URL(`/v1/${operation}`, url),
        body,
        agent,
        headers,
        patienceFor(operation),
      );
      if (head !== undefined) see(head);
      const value = parse(text);
      if (status !== 200) throw errorOf(value);
      const parsed = answer.safeParse(value);
      if (!parsed.success) throw fail('key-service-unavailable');
      return parsed.data as KeyAnswer<typeof operation>;
    },
    close: () => agent.destroy(),
  };
}

/** Fault: `request-malformed`, as the service would say. Encoding wants every field, so defaults are put in here. */
function encodeRequest(operation: KeyOperation, request: object): string {
  const defaults = operation === 'identity-add' ? { algorithm: 'rsa-2048', single: false } : {};
  const form = keyOperations[operation].request as { safeEncode(value: unknown): { data?: unknown } };
  const { data } = form.safeEncode({ ...defaults, ...request });
  if (data === undefined) throw new KeyFault('request-malformed');
  return JSON.stringify(data);
}

interface Answer {
  readonly status: number;
  readonly head: string | undefined;
  readonly text: string;
}

type Headers = Readonly<Record<string, string>>;

/** A connection that was closed while it lay idle fails before anything was answered: one more try on a fresh one is safe. */
async function post(url: URL, body: string, agent: Agent, headers: Headers, patienceMs: number): Promise<Answer> {
  try {
    return await postOnce(url, body, agent, headers, patienceMs);
  } catch (error) {
    if (!(error instanceof StaleConnection)) throw fail('key-service-unavailable', error);
  }
  try {
    return await postOnce(url, body, agent, headers, patienceMs);
  } catch (error) {
    throw fail('key-service-unavailable', error);
  }
}

class StaleConnection extends Error {}

function patienceFor(operation: KeyOperation): number {
  return operation === 'act-execute' ? actTimeoutMs : requestTimeoutMs;
}

function postOnce(url: URL, body: string, agent: Agent, headers: Headers, patienceMs: number): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const request = httpsRequest(url, {
    method: 'POST',
    agent,
    signal: AbortSignal.timeout(patienceMs),
    headers: {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      ...headers,
    },
  });
  request.on('error', (error: NodeJS.ErrnoException) => {
    const stale = request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
    reject(stale ? new StaleConnection('stale', { cause: error }) : error);
  });
  request.on('response', (response) => {
    const parts: Buffer[] = [];
    let length = 0;
    response.on('data', (part: Buffer) => {
      length += part.length;
      if (length > maxAnswer) response.destroy(new Error('The answer is too long'));
      else parts.push(part);
    });
    response.on('error', reject);
    const head = response.headers[headHeader];
    response.on('end', () =>
      resolve({
        status: response.statusCode ?? 0,
        head: typeof head === 'string' ? head : undefined,
        text: Buffer.concat(parts).toString('utf8'),
      }),
    );
  });
  request.end(body);
  return promise;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw fail('key-service-unavailable');
  }
}

function errorOf(value: unknown): Error {
  return errorOfCode(typeof value === 'object' && value !== null && 'code' in value ? value.code : undefined);
}

/** The error that the service had, by its code. */
export function errorOfCode(code: unknown): Error {
  if (typeof code !== 'string') return fail('key-service-unavailable');
  if (isErrorCode(code)) return fail(code as ErrorCode);
  return isKeyFaultCode(code) ? new KeyFault(code) : fail('key-service-unavailable');
}
