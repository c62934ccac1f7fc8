// The peer: what an administrator builds without a gateway. Postfix pipes each message through a shell script (pipe(8), FILTER_README
// "simple content filter") that signs and encrypts it with `openssl cms` and hands it back by SMTP.

import { chmodSync, chownSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '@sealpost/testkit';
import type { Person } from '../e2e/partner.ts';
import { postfixDirectory, startPostfix } from '../e2e/postfix.ts';
import { cpuOfTree } from './cpu.ts';
import type { Side } from './load.ts';

const nobody = 65534;

/**
 * Few and cheap processes: one awk, two openssl, one SMTP client written in C, one rm. The outer header keeps all fields but
 * Content-*; the entity to be signed is those fields and the body.
 */
const script = (inside: (name: string) => string, back: number): string => `#!/bin/sh
cd '${inside('work')}' || exit 75
awk -v entity="entity.$$" '
  body   { print > entity; next }
  /^$/   { print > entity; body = 1; next }
  /^[ \\t]/ { if (inner) print > entity; else print; next }
  { inner = tolower($0) ~ /^content-/; if (inner) print > entity; else if (tolower($0) !~ /^mime-version:/) print }
' > "out.$$" || exit 75
openssl cms -sign -in "entity.$$" -signer '${inside('signer.pem')}' -inkey '${inside('signer.key')}' -md sha256 |
  openssl cms -encrypt -aes-256-cbc '${inside('recipient.pem')}' >> "out.$$" || exit 75
/usr/sbin/smtp-source -f "$1" -t "$2" -F "out.$$" 127.0.0.1:${back} || exit 75
rm -f "entity.$$" "out.$$"
`;

/** `filters`: scripts that run at a time. */
export async function startPostfixFilter(signer: Person, recipient: Person, filters: number): Promise<Side> {
  const [port, back, sinkPort] = [await freePort(), await freePort(), await freePort()];
  const directory = postfixDirectory();
  const inside = (name: string): string => join(directory, name);
  copyFileSync(signer.certificate, inside('signer.pem'));
  copyFileSync(signer.key, inside('signer.key'));
  copyFileSync(recipient.certificate, inside('recipient.pem'));
  chownSync(inside('signer.key'), nobody, nobody);
  copyFileSync(signer.key, inside('tls.key'));
  mkdirSync(inside('work'));
  chownSync(inside('work'), nobody, nobody);
  writeFileSync(inside('filter'), script(inside, back));
  chmodSync(inside('filter'), 0o755);
  const postfix = await startPostfix(directory, {
    main: [
      'myhostname = mail.alpha.test',
      'message_size_limit = 36700160',
      'default_process_limit = 100',
      // No pause for mail that comes in faster than it leaves; no process ends during the run.
      'in_flow_delay = 0',
      'max_use = 100000',
      'smime_destination_recipient_limit = 1',
      `smime_destination_concurrency_limit = ${filters}`,
      `smime_initial_destination_concurrency = ${filters}`,
      `default_transport = smtp:[127.0.0.1]:${sinkPort}`,
      // TLS where the other end speaks it, without the cost of a handshake for each message.
      'smtpd_tls_security_level = may',
      `smtpd_tls_cert_file = ${inside('signer.pem')}`,
      `smtpd_tls_key_file = ${inside('tls.key')}`,
      'smtp_tls_security_level = may',
      'smtp_tls_connection_reuse = yes',
      'smtp_connection_cache_on_demand = yes',
    ].join('\n'),
    master: [
      `127.0.0.1:${port} inet n - n - - smtpd`,
      '  -o content_filter=smime:dummy',
      `127.0.0.1:${back} inet n - n - - smtpd`,
      '  -o content_filter=',
      '  -o receive_override_options=no_unknown_recipient_checks,no_header_body_checks',
      `smime unix - n n - ${filters} pipe`,
      `  flags=Rq user=nobody null_sender= argv=${inside('filter')} \${sender} \${recipient}`,
    ].join('\n'),
  });
  return { name: 'postfix+openssl', port, sinkPort, cpu: () => cpuOfTree(postfix.pid), stop: () => postfix.stop() };
}
