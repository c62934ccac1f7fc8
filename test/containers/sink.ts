// Runs in a container as everybody's next hop: takes mail over TLS and leaves each message as a JSON file in /received.

import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { startSmtpSink } from '@sealpost/testkit';

const tls = { cert: readFileSync('/tls/tls-crt'), key: readFileSync('/tls/tls-key') };
const sink = await startSmtpSink({ host: '0.0.0.0', port: 2500, tls });
/** What the sink before this one left. */
const before = readdirSync('/received').length;
let written = 0;

setInterval(() => {
  for (; written < sink.transactions.length; written++) {
    const transaction = sink.transactions[written];
    const name = `/received/${before + written}`;
    writeFileSync(`${name}.part`, JSON.stringify({ ...transaction, message: transaction?.message.toString('base64') }));
    renameSync(`${name}.part`, `${name}.json`);
  }
}, 50);

process.once('SIGTERM', () => process.exit(0));
