// A gateway of its own for a load, as `sealpost up` runs it, with a person of ours, a partner who uses OpenSSL, and a sink for
// what comes out.

import { writeFileSync } from 'node:fs';
import { type CpuTimes, cpuOf } from '../bench/cpu.ts';
import { type HostPort, startInstallation } from '../e2e/installation.ts';
import { makePartner } from '../e2e/partner.ts';
import { senderOf, watchDeliveries } from './deliveries.ts';
import { inboundMail, ours, outboundMail, theirs } from './mails.ts';
import type { WireMail } from './send.ts';

export type Direction = 'outbound' | 'inbound';

export interface GatewayUnderLoad extends AsyncDisposable {
  readonly directory: string;
  address(direction: Direction): HostPort;
  /** The message of this number and size as it goes over the wire. */
  mail(direction: Direction, bytes: number, index: number): WireMail;
  /** From now on, each message that comes out. */
  onTaken(taken: (index: number, at: number) => void): void;
  /** Processor time so far, by kind of process. */
  cpu(): CpuTimes;
}

export async function startGatewayUnderLoad(workers: number): Promise<GatewayUnderLoad> {
  await using stack = new AsyncDisposableStack();
  let taken: (index: number, at: number) => void = () => undefined;
  const sink = stack.use(await watchDeliveries((index, at) => taken(index, at)));
  const partner = stack.adopt(makePartner('load'), (made) => made.close());
  const signer = partner.person(theirs);
  const gateway = stack.adopt(
    await startInstallation({ external: sink.port, internal: sink.port, workers }),
    async (started) => void (await started.stop()),
  );
  await gateway.cli('identity', 'add', ours, '--algorithm', 'rsa-2048');
  await gateway.cli('import', '--cert', signer.certificate);
  await gateway.cli('trust', 'add', partner.ca);
  const { certificates, pem } = (await gateway.cli('identity', 'show', ours)) as {
    certificates: { use: string }[];
    pem: string[];
  };
  const certificateFile = partner.file('ours.pem');
  writeFileSync(certificateFile, pem[certificates.findIndex(({ use }) => use === 'decryption')] ?? '');

  const made = new Map<string, Buffer>();
  const owned = stack.move();
  return {
    directory: gateway.directory,
    address: (direction) => gateway.ready[direction],
    mail(direction, bytes, index) {
      const name = `${direction} ${bytes}`;
      const data =
        made.get(name) ??
        wire(direction === 'outbound' ? outboundMail(bytes) : inboundMail(bytes, partner, signer, certificateFile));
      made.set(name, data);
      const isOut = direction === 'outbound';
      return { from: senderOf(index, isOut ? 'alpha.test' : 'partner.test'), to: isOut ? theirs : ours, data };
    },
    onTaken(listener) {
      taken = listener;
    },
    cpu: () => Object.fromEntries(Object.entries(gateway.ready.pids).map(([kind, pids]) => [kind, cpuOf(pids)])),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** RFC 5321 §4.5.2, with the final dot. */
export function wire(message: Buffer): Buffer {
  return Buffer.from(`${message.toString('latin1').replace(/(^|\r\n)\./g, '$1..')}.\r\n`, 'latin1');
}
