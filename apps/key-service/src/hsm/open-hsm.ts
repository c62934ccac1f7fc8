// The service's side of the PKCS#11 module's process: started with the first call, asked one thing after the other, killed when it
// does not answer in time, started again with the next call. What was asked of a process that ended fails.

import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { KeyFault } from '@sealpost/service';
import type { Hsm, HsmAnswer, HsmKey, HsmPlace, HsmRequest } from './hsm.ts';

const program = join(import.meta.dirname, 'module-process.ts');
/** Loading a vendor's module and its login may reach over a network. */
const startMs = 15_000;
/** A module that ends at once is not started more often than this. */
const restartMs = 1_000;
/** More than this waiting for one token is more than it does within a deadline. */
const maxPending = 512;

export interface HsmOptions extends HsmPlace {
  /** For one answer, waiting for others included. */
  readonly deadlineMs: number;
  /** The process could not start, or ended by itself, or was killed. */
  onFailure(reason: string): void;
}

interface Pending {
  readonly resolve: (value: Buffer | HsmKey | undefined) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

interface Running {
  readonly child: ChildProcess;
  readonly ready: Promise<void>;
}

/** Starts nothing yet. */
export function openHsm(options: HsmOptions): Hsm {
  const pending = new Map<number, Pending>();
  let running: Running | undefined;
  let startedAt = Number.NEGATIVE_INFINITY;
  let next = 1;
  /** Tokens lock themselves after a few wrong PINs: a wrong one is tried once in the life of this process. */
  let pinWrong = false;
  let isClosing = false;

  function start(): Running {
    if (pinWrong) throw new KeyFault('hsm-pin-wrong');
    if (isClosing || performance.now() - startedAt < restartMs) throw new KeyFault('hsm-unavailable');
    startedAt = performance.now();
    const child = fork(program, [options.module, options.token, options.pinFile], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    const ready = Promise.withResolvers<void>();
    const late = setTimeout(() => end('it did not start in time'), startMs);
    const end = (reason: string): void => {
      clearTimeout(late);
      child.kill('SIGKILL');
      if (running?.child !== child) return;
      running = undefined;
      if (!isClosing) options.onFailure(reason);
      const fault = new KeyFault(pinWrong ? 'hsm-pin-wrong' : 'hsm-unavailable');
      ready.reject(fault);
      for (const { reject, timer } of pending.values()) {
        clearTimeout(timer);
        reject(fault);
      }
      pending.clear();
    };
    child.once('error', () => end('it could not be started'));
    child.once('exit', (code, signal) => end(`it ended (${signal ?? code})`));
    child.on('message', (answer: HsmAnswer) => {
      if (!('ready' in answer)) return settle(answer);
      clearTimeout(late);
      if (answer.ready) return ready.resolve();
      pinWrong = answer.pinWrong;
      end(answer.reason);
    });
    // Whoever asked hears it; nobody may be asking any more.
    ready.promise.catch(() => undefined);
    // Ours to end with the service, nothing to stay up for.
    child.unref();
    child.channel?.unref();
    return { child, ready: ready.promise };
  }

  function settle(answer: Extract<HsmAnswer, { number: number }>): void {
    const waiting = pending.get(answer.number);
    if (!waiting) return;
    pending.delete(answer.number);
    clearTimeout(waiting.timer);
    if ('fault' in answer) waiting.reject(new KeyFault(answer.fault));
    else waiting.resolve(answer.value);
  }

  async function ask(request: HsmRequest): Promise<Buffer | HsmKey | undefined> {
    if (pending.size >= maxPending) throw new KeyFault('hsm-unavailable');
    running ??= start();
    const { child, ready } = running;
    await ready;
    const number = next++;
    return await new Promise((resolve, reject) => {
      // A module that hangs cannot be asked to stop.
      const timer = setTimeout(() => child.kill('SIGKILL'), options.deadlineMs);
      pending.set(number, { resolve, reject, timer });
      child.send({ number, ...request }, (error) => error && child.kill('SIGKILL'));
    });
  }

  const bytes = async (request: HsmRequest): Promise<Buffer> => {
    const value = await ask(request);
    if (!Buffer.isBuffer(value)) throw new KeyFault('hsm-refused');
    return value;
  };
  const perhaps = async (request: HsmRequest): Promise<Buffer | undefined> => {
    const value = await ask(request);
    return Buffer.isBuffer(value) ? value : undefined;
  };

  return {
    async find(name) {
      const value = await ask({ do: 'find', name });
      if (value === undefined || Buffer.isBuffer(value)) throw new KeyFault('hsm-key-missing');
      return value;
    },
    sign: (name, scheme, message) => bytes({ do: 'sign', name, scheme, message }),
    decrypt: (name, cipher, ciphertext) => perhaps({ do: 'decrypt', name, cipher, ciphertext }),
    encrypt: (name, cipher, plain) => bytes({ do: 'encrypt', name, cipher, plain }),
    derive: (name, publicPoint) => perhaps({ do: 'derive', name, publicPoint }),
    async close() {
      isClosing = true;
      const child = running?.child;
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.disconnect();
      const kill = setTimeout(() => child.kill('SIGKILL'), restartMs);
      await gone.finally(() => clearTimeout(kill));
    },
  };
}
