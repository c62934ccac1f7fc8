// TLS for load that speaks none: a stunnel in front of a mail system, which begins STARTTLS for smtp-source, and one in front of
// smtp-sink, which offers it. Both sides of a comparison get the same.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { freePort } from '@sealpost/testkit';
import type { Partner } from '../e2e/partner.ts';
import type { Side } from './load.ts';

const stunnel = '/usr/bin/stunnel4';

/** Why it cannot be; false where it can. */
export function tlsMissing(): string | false {
  return existsSync(stunnel)
    ? false
    : 'stunnel is not installed (Debian: apt-get install stunnel4); --plain goes without TLS';
}

/** The side behind TLS at both ends: mail goes in and comes out encrypted. */
export async function withTls(side: Side, partner: Partner): Promise<Side> {
  const [port, sinkPort] = [await freePort(), await freePort()];
  const { certificate, key } = partner.person('sink@partner.test');
  const config = partner.file(`stunnel-${side.name}.conf`);
  const lines = [
    'foreground = quiet',
    'pid =',
    '[source]',
    'client = yes',
    'protocol = smtp',
    `accept = 127.0.0.1:${port}`,
    `connect = 127.0.0.1:${side.port}`,
    '[sink]',
    'protocol = smtp',
    `accept = 127.0.0.1:${side.sinkPort}`,
    `connect = 127.0.0.1:${sinkPort}`,
    `cert = ${certificate}`,
    `key = ${key}`,
  ];
  writeFileSync(config, `${lines.join('\n')}\n`);
  const process = spawn(stunnel, [config], { stdio: ['ignore', 'ignore', 'inherit'] });
  await once(process, 'spawn');
  return {
    ...side,
    port,
    sinkPort,
    async stop() {
      process.kill();
      await side.stop();
    },
  };
}
