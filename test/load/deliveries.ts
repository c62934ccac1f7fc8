// Where the mail of a load comes out: a sink that keeps no message and tells when each was taken, by the number in its sender address.

import { type SmtpSink, startSmtpSink } from '@sealpost/testkit';

export interface Deliveries extends AsyncDisposable {
  readonly port: number;
}

/** The envelope sender that a message of a load has; the gateway hands it on unchanged. */
export function senderOf(index: number, domain: string): string {
  return `load-${index}@${domain}`;
}

/** `taken`: the message with this number was taken, at this time of `performance.now()`; more than once for a duplicate. */
export async function watchDeliveries(taken: (index: number, at: number) => void): Promise<Deliveries> {
  /** The sender of the transaction that a session is in. */
  const current = new Map<number, number>();
  const sink: SmtpSink = await startSmtpSink({
    keep: false,
    reply({ stage, session, address }) {
      if (stage === 'mail') current.set(session, Number(/^load-(\d+)@/.exec(address ?? '')?.[1] ?? Number.NaN));
      const index = current.get(session);
      if (stage === 'message' && index !== undefined && Number.isInteger(index)) taken(index, performance.now());
      return undefined;
    },
  });
  return { port: sink.port, [Symbol.asyncDispose]: () => sink.close() };
}
