// Section `redis`: the server that holds the queue.

import * as z from 'zod';
import { host, path, port, type Section } from './values.ts';

export const redis = z
  .strictObject({
    host: host().default('127.0.0.1').describe('Host name or IP address'),
    port: port().default(6379).describe('TCP port'),
    username: z.string().optional().describe('User name (Redis ACL)'),
    passwordFile: path().optional().describe('File that holds the password'),
    tls: z
      .strictObject({ caFile: path().describe('PEM file of the CA that issued the server its certificate') })
      .optional()
      .describe('Connect over TLS'),
    acceptRisks: z
      .array(z.enum(['fsync', 'eviction', 'persistence']))
      .default([])
      .describe('Settings of the server that may lose mail and are accepted all the same'),
  })
  .prefault({});

export type RedisConfig = Section<typeof redis>;
