// The kinds of value that sections of the configuration are made of. Each one's message says what is allowed, never what was
// given: a password in the wrong place must not be printed.

import { isIP } from 'node:net';
import { isAbsolute } from 'node:path';
import { tenantId } from '@sealpost/core';
import * as z from 'zod';

/** What a section's schema yields, read-only all the way down as the running process sees it. */
export type Section<Schema extends z.ZodType> = DeepReadonly<z.output<Schema>>;

type DeepReadonly<T> = T extends string | number | boolean | bigint | undefined | null
  ? T
  : T extends readonly (infer Item)[]
    ? readonly DeepReadonly<Item>[]
    : { readonly [Key in keyof T]: DeepReadonly<T[Key]> };

/** Labels of letters, digits and dashes (RFC 1123 §2.1), at most 253 characters. */
const hostPattern = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i;

const isHostName = (text: string): boolean => hostPattern.test(text);

/** Where to connect to: a host name or an IP address. */
export const host = () =>
  z
    .string()
    .refine((text) => isIP(text) !== 0 || isHostName(text), 'must be a host name or an IP address')
    .meta({ title: 'host name or IP address' });

/** A port to connect to. */
export const port = () => z.int('must be a whole number').min(1).max(65535);

/** A port to listen on; 0 takes a free one. */
const listenPort = () => z.int('must be a whole number').min(0).max(65535);

/** A mail domain, kept in lower case. Internationalised domains are written in their ASCII form (RFC 5890). */
export const domain = () =>
  z
    .string()
    .refine((text) => isHostName(text) && isIP(text) === 0, 'must be a domain name in its ASCII form')
    .meta({ title: 'domain name' })
    .transform((text) => text.toLowerCase());

/** Absolute, so that it means the same whatever directory a process was started in. */
export const path = () =>
  z
    .string()
    .refine((text) => isAbsolute(text) && !text.includes('\0'), 'must be an absolute path')
    .meta({ title: 'absolute path' });

/** A tenant's id. */
export const tenant = () =>
  z
    .string()
    .regex(
      /^[a-z][a-z0-9-]{0,62}$/,
      'must be lower-case letters, digits and dashes, a letter first, at most 63 characters',
    )
    .meta({ title: 'tenant id' })
    .transform(tenantId);

/** A name given to a part of the configuration, used in logs, tickets and metric labels. */
export const name = () =>
  z
    .string()
    .regex(/^[a-z0-9][a-z0-9.-]{0,62}$/, 'must be lower-case letters, digits, dots and dashes, at most 63')
    .meta({ title: 'name' });

/** A whole number from `least` to `most`. */
export const count = (least: number, most: number = Number.MAX_SAFE_INTEGER) =>
  z.int('must be a whole number').min(least).max(most);

/** Where a process listens. */
export const listenAddress = (defaults: { host: string; port: number }) =>
  z
    .strictObject({
      host: host().default(defaults.host).describe('Address to listen on; 0.0.0.0 or :: for all'),
      port: listenPort().default(defaults.port).describe('Port to listen on; 0 takes a free one'),
    })
    .prefault({});

/** Another server. */
export const address = () =>
  z.strictObject({
    host: host().describe('Host name or IP address'),
    port: port().describe('TCP port'),
  });

/** A certificate and its key, as files. */
export const tlsFiles = () =>
  z.strictObject({
    certificateFile: path().describe('PEM file with the certificate, its issuers after it'),
    keyFile: path().describe('PEM file with the private key (PKCS#8, encrypted if `passphraseFile` is given)'),
    passphraseFile: path().optional().describe('File that holds the passphrase of the private key'),
  });
