// The process that owns the PKCS#11 module: opens one session on one token, answers one request after the other over the channel
// to its parent, and ends with it. Arguments: module, token label, file with the PIN.

import { readFileSync } from 'node:fs';
import type { HsmAnswer, HsmFaultCode, HsmRequest } from './hsm.ts';
import { isFatal, openToken, pinIncorrect, type Token } from './token.ts';

const [modulePath = '', tokenLabel = '', pinFile = ''] = process.argv.slice(2);

const send = (answer: HsmAnswer, then: () => void = () => undefined): void => {
  process.send?.(answer, then);
};

process.once('disconnect', () => process.exit(0));
// Signals to the service's group are for the service: it ends this process when nobody needs it any more.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);

const token = open();
if (token) {
  process.on('message', (request: HsmRequest & { number: number }) => answer(token, request));
  send({ ready: true });
}

function open(): Token | undefined {
  try {
    return openToken(modulePath, tokenLabel, readFileSync(pinFile, 'utf8').replace(/\r?\n$/, ''));
  } catch (error) {
    const pinWrong = (error as { code?: unknown }).code === pinIncorrect;
    const reason = error instanceof Error ? error.message : 'the module cannot be used';
    send({ ready: false, reason, pinWrong }, () => process.exit(1));
    return undefined;
  }
}

function answer(open: Token, { number, ...request }: HsmRequest & { number: number }): void {
  try {
    send({ number, value: perform(open, request) });
  } catch (error) {
    // A token that is gone does not come back in this session; the next process opens another.
    const isGone = isFatal(error);
    send({ number, fault: isGone ? 'hsm-unavailable' : faultOf(error) }, () => isGone && process.exit(1));
  }
}

function perform(open: Token, request: HsmRequest) {
  switch (request.do) {
    case 'find':
      return open.find(request.name);
    case 'sign':
      return open.sign(request.name, request.scheme, request.message);
    case 'decrypt':
      return open.decrypt(request.name, request.cipher, request.ciphertext);
    case 'encrypt':
      return open.encrypt(request.name, request.cipher, request.plain);
    case 'derive':
      return open.derive(request.name, request.publicPoint);
  }
}

function faultOf(error: unknown): HsmFaultCode {
  return (error as { code?: unknown }).code === 'hsm-key-missing' ? 'hsm-key-missing' : 'hsm-refused';
}
