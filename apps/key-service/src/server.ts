// The key service's HTTP side: TLS 1.3 only, a client certificate always, no session to resume (a resumed one would skip the
// check of the certificate), one operation per path, bounded bodies. Role and permission are judged before a body is read.

import { constants, randomUUID } from 'node:crypto';
import { type Clock, codeOf, errors, fail, SealpostError } from '@sealpost/core';
import {
  type AuditEntry,
  headHeader,
  type Installation,
  type KeyAnswer,
  KeyFault,
  type KeyOperation,
  type KeyRequest,
  keyFaults,
  keyOperations,
  passphraseBytes,
  type Telemetry,
  type TlsIdentity,
} from '@sealpost/service';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { refusal } from './admission.ts';
import { isPersonRole } from './authority/service-authority.ts';
import { actorOf, type Caller, callerOf } from './caller.ts';
import { countHandshakes } from './count-handshakes.ts';
import { isShallow } from './json-depth.ts';
import type { Keeper } from './keeper.ts';
import { operations, type StoreOperation } from './operations/index.ts';
import type { AuditSubject } from './operations/operation.ts';
import { openRateLimits } from './rate-limits.ts';
import { reachOf } from './scope.ts';

/** An import of 512 KiB and a lease's envelope of 768 KiB, in base64. */
const maxBody = 1_200 * 1024;
/** A stage has some ten connections; a host that opens more is not one. */
const maxConnections = 1_024;
const requestTimeoutMs = 10_000;
const idleTimeoutMs = 120_000;

export interface ServerOptions {
  readonly config: Installation;
  readonly identity: TlsIdentity;
  /** PEM of the service CA. */
  readonly ca: Buffer;
  readonly keeper: Keeper;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Somebody asked for what he may not have; `code` says which check refused. */
  onDenied(caller: Caller | undefined, code: string): void;
}

export function buildServer(options: ServerOptions): FastifyInstance {
  const { config, identity, ca, keeper, clock, telemetry } = options;
  const server = fastify({
    https: {
      ...identity,
      ca,
      minVersion: 'TLSv1.3',
      requestCert: true,
      rejectUnauthorized: true,
      secureOptions: constants.SSL_OP_NO_TICKET,
      handshakeTimeout: requestTimeoutMs,
      maxHeaderSize: 8 * 1024,
    },
    bodyLimit: maxBody,
    requestTimeout: requestTimeoutMs,
    connectionTimeout: idleTimeoutMs,
    keepAliveTimeout: idleTimeoutMs,
    routerOptions: { maxParamLength: 64 },
    exposeHeadRoutes: false,
  } as const);
  server.server.maxConnections = maxConnections;
  countHandshakes(server.server, telemetry);
  server.removeContentTypeParser('text/plain');
  const parse = server.getDefaultJsonParser('error', 'error');
  server.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    const text = body.toString();
    if (isShallow(text)) void parse(request, text, done);
    else done(new KeyFault('request-malformed'));
  });
  server.setNotFoundHandler((_, reply) => answerFault(reply, new KeyFault('not-found')));
  server.setErrorHandler((error, _, reply) => answerFault(reply, asFault(error)));

  // The one that is on disk when the answer leaves, so it stands behind the operation's own records.
  server.addHook('onSend', async (_, reply) => {
    const head = keeper.signedHead();
    if (head !== undefined) reply.header(headHeader, head);
  });

  const callers = new WeakMap<FastifyRequest, Caller>();
  const rates = openRateLimits();
  for (const operation of Object.keys(keyOperations) as KeyOperation[]) {
    server.post(`/v1/${operation}`, {
      // Before the body: a stranger's bytes are not parsed.
      onRequest: async (request, reply) => {
        const caller = callerOf(request.raw.socket, clock.now(), config.keyServer.refusedClients);
        if (caller && !rates.take(caller.fingerprint, isPersonRole(caller.role) ? 'person' : 'service', clock.now())) {
          telemetry.count('sealpost_key_calls_total', { role: caller.role, operation, outcome: 'denied' });
          return answerFault(
            reply,
            isPersonRole(caller.role) ? new KeyFault('too-many-attempts') : fail('lease-overloaded'),
          );
        }
        const refused = caller ? await refusal(operation, caller, await doorNow()) : 'forbidden';
        if (caller && refused === undefined) {
          callers.set(request, caller);
          const seen = request.headers[headHeader];
          if (typeof seen === 'string') await keeper.hear(caller.fingerprint, seen);
          return;
        }
        const code = refused ?? 'forbidden';
        options.onDenied(caller, code);
        telemetry.count('sealpost_key_calls_total', { role: caller?.role ?? 'none', operation, outcome: 'denied' });
        await auditDenial(operation, caller, code);
        return answerFault(reply, new KeyFault(code));
      },
      handler: async (request) => {
        const caller = callers.get(request);
        if (!caller) throw new KeyFault('forbidden');
        const { traceparent } = request.headers;
        const parent = typeof traceparent === 'string' ? traceparent : undefined;
        return await counted(operation, caller, parent, () => perform(operation, caller, request.body));
      },
    });
  }
  return server as unknown as FastifyInstance;

  async function doorNow() {
    const now = clock.now();
    if (!keeper.isSealed()) return { store: keeper.store(), now };
    return { store: undefined, development: (await keeper.status()).development, now };
  }

  async function counted<T>(
    operation: KeyOperation,
    caller: Caller,
    parent: string | undefined,
    run: () => Promise<T>,
  ): Promise<T> {
    const count = (outcome: 'ok' | 'denied' | 'failed') =>
      telemetry.count('sealpost_key_calls_total', { role: caller.role, operation, outcome });
    try {
      const body = await telemetry.span('key-service.answer', { call: operation, role: caller.role }, run, {
        kind: 'server',
        parent: parent === undefined ? 'none' : { traceparent: parent },
      });
      count('ok');
      return body;
    } catch (error) {
      const isDenied = denials.includes(faultCode(error));
      if (isDenied) options.onDenied(caller, faultCode(error));
      count(isDenied ? 'denied' : 'failed');
      throw error;
    }
  }

  /** Reads the request, runs the operation between its audit records, writes the answer. */
  async function perform<O extends KeyOperation>(operation: O, caller: Caller, body: unknown): Promise<unknown> {
    const { request: form, answer: answerForm } = keyOperations[operation];
    const parsed = form.safeParse(body ?? {});
    if (!parsed.success) throw new KeyFault('request-malformed');
    const result = await dispatch(operation, parsed.data as KeyRequest<O>, caller);
    return (answerForm as { encode(value: unknown): unknown }).encode(result);
  }

  async function dispatch<O extends KeyOperation>(
    operation: O,
    request: KeyRequest<O>,
    caller: Caller,
  ): Promise<KeyAnswer<O>> {
    switch (operation) {
      case 'status':
        return (await keeper.status()) as KeyAnswer<O>;
      case 'audit-head':
        return { head: keeper.signedHead(), key: keeper.auditKey() } as KeyAnswer<O>;
      case 'unseal':
        return (await audited(
          operation,
          caller,
          () => ({}),
          async () => {
            const secret = passphraseBytes((request as KeyRequest<'unseal'>).passphrase);
            await keeper.unseal('passphrase', secret).finally(() => secret.fill(0));
            return await keeper.status();
          },
        )) as KeyAnswer<O>;
      case 'unseal-share':
        return (await audited(
          operation,
          caller,
          () => ({}),
          async (note) => {
            const progress = await keeper.unsealShare((request as KeyRequest<'unseal-share'>).share);
            if (progress) note({ slot: progress.slot, count: progress.have });
            return await keeper.status();
          },
        )) as KeyAnswer<O>;
      case 'unseal-reset':
        return (await audited(
          operation,
          caller,
          () => ({}),
          async (note) => {
            note({ count: keeper.resetShares() });
            return await keeper.status();
          },
        )) as KeyAnswer<O>;
      case 'seal':
        return (await audited(
          operation,
          caller,
          () => ({}),
          async () => {
            await keeper.seal();
            return await keeper.status();
          },
        )) as KeyAnswer<O>;
      case 'backup-make':
        return (await audited(
          operation,
          caller,
          () => ({}),
          async (note) => {
            const made = await keeper.backUp();
            note({ count: made.bytes });
            return made;
          },
        )) as KeyAnswer<O>;
      case 'leases':
        return (await leaseEach(request as KeyRequest<'leases'>, caller)) as KeyAnswer<O>;
      default:
        return (await onStore(operation as StoreOperation, request as never, caller)) as KeyAnswer<O>;
    }
  }

  async function onStore<O extends StoreOperation>(operation: O, request: KeyRequest<O>, caller: Caller) {
    const store = keeper.store();
    const { subject, run } = operations[operation];
    const { installation } = config;
    const now = clock.now();
    const tenants = await reachOf(request, caller, store, config.tenants);
    if (!subject) return await run(request, { caller, store, tenants, installation, now, note: () => undefined });
    return await audited(
      operation,
      caller,
      () => subject(request, store),
      async (note) => {
        const result = await run(request, { caller, store, tenants, installation, now, note });
        await store.outbox.flush(keeper.journal().append);
        return result;
      },
    );
  }

  /** As many requests of their own, so that each has its records, its span and its refusal. */
  async function leaseEach({ items, ...common }: KeyRequest<'leases'>, caller: Caller): Promise<KeyAnswer<'leases'>> {
    const leases = items.map(async ({ traceparent, ...item }) => {
      try {
        const one = () => onStore('lease', { ...common, ...item }, caller);
        return { lease: await counted('lease', caller, traceparent, one) };
      } catch (error) {
        return { code: asFault(error).code };
      }
    });
    return { leases: await Promise.all(leases) };
  }

  /** Intent on disk, then the work, then its outcome on disk, then the answer. */
  async function audited<T>(
    operation: string,
    caller: Caller,
    subjectOf: () => Promise<AuditSubject> | AuditSubject,
    run: (note: (more: AuditSubject) => void) => Promise<T>,
  ): Promise<T> {
    const request = randomUUID();
    const common = { operation, request, actor: actorOf(caller) };
    const write = (entry: Omit<AuditEntry, 'at' | keyof typeof common>) =>
      keeper.journal().append({ at: clock.now(), ...common, ...entry });
    let noted: AuditSubject = {};
    try {
      // A request that cannot even be named is refused before there is an intent; its outcome is on record all the same.
      noted = await subjectOf();
      await write({ kind: 'intent', ...noted });
      const result = await run((more) => {
        noted = { ...noted, ...more };
      });
      await write({ kind: 'outcome', ...noted, result: 'ok' });
      return result;
    } catch (error) {
      if (codeOf(error) !== 'audit-unavailable') await write({ kind: 'outcome', ...noted, result: faultCode(error) });
      throw error;
    }
  }

  /** A refusal needs no record to be one, so a log that fails does not stop it. */
  async function auditDenial(operation: string, caller: Caller | undefined, result: string): Promise<void> {
    const entry = { at: clock.now(), kind: 'event', operation, request: randomUUID(), result } as const;
    const actor = caller ? actorOf(caller) : { role: 'none', name: 'unknown' };
    try {
      await keeper.journal().append({ ...entry, actor });
    } catch {
      return;
    }
  }
}

function faultCode(error: unknown): string {
  return error instanceof KeyFault ? error.code : codeOf(error);
}

function asFault(error: unknown): KeyFault | SealpostError {
  if (error instanceof KeyFault) return error;
  // An id or a sealed piece in a request that does not have the form of one is the caller's mistake.
  if (error instanceof SealpostError) {
    return error.code === 'id-invalid' || error.code === 'sealed-malformed' ? new KeyFault('request-malformed') : error;
  }
  const status = (error as { statusCode?: unknown }).statusCode;
  if (status === 413) return new KeyFault('request-too-large');
  if (typeof status === 'number' && status >= 400 && status < 500) return new KeyFault('request-malformed');
  return new SealpostError('internal', error);
}

/** What an honest and whole installation never hears. */
const denials: readonly string[] = [
  'forbidden',
  'key-denied',
  'ticket-invalid',
  'envelope-mismatch',
  'passphrase-wrong',
  'share-wrong',
  'approval-own',
  'approval-role',
  'approval-invalid',
  'code-wrong',
  'code-locked',
];

/** HTTP status of the pipeline's codes; a client goes by the code. */
function statusOf(error: KeyFault | SealpostError): number {
  if (error instanceof KeyFault) return keyFaults[error.code][0];
  if (error.code === 'lease-overloaded') return 429;
  if (error.code === 'internal') return 500;
  return errors[error.code].action === 'retry' ? 503 : 403;
}

function answerFault(reply: FastifyReply, error: KeyFault | SealpostError): FastifyReply {
  return reply.code(statusOf(error)).send({ code: error.code, text: error.message });
}
