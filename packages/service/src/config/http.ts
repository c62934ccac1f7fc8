// Section `http`: where each process answers /live, /ready and /metrics. Several processes of one role on one machine are told
// apart by the option --http-port.

import * as z from 'zod';
import { listenAddress, type Section } from './values.ts';

export const http = z
  .strictObject({
    ingress: listenAddress({ host: '127.0.0.1', port: 9101 }),
    worker: listenAddress({ host: '127.0.0.1', port: 9102 }),
    egress: listenAddress({ host: '127.0.0.1', port: 9103 }),
    keyService: listenAddress({ host: '127.0.0.1', port: 9104 }),
  })
  .prefault({});

export type HttpConfig = Section<typeof http>;
