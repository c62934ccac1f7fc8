// `openssl cms` as a process for each step, as filters call it. Time is that of the ended children.

import { execFileSync, spawnSync } from 'node:child_process';
import { cpuOfTree } from '../cpu.ts';
import type { Contender } from './contender.ts';

const isThere = spawnSync('openssl', ['version']).status === 0;

function run(arguments_: readonly string[], input?: Buffer): Buffer {
  return execFileSync('openssl', arguments_, {
    maxBuffer: 1 << 30,
    stdio: ['pipe', 'pipe', 'ignore'],
    ...(input === undefined ? {} : { input }),
  });
}

function childrenMs(): number {
  const times = cpuOfTree(process.pid);
  return Object.entries(times).reduce((sum, [name, ms]) => sum + (name.endsWith("'s children") ? ms : 0), 0);
}

export const openssl: Contender = {
  name: 'openssl cms',
  skip: () => (isThere ? undefined : 'no openssl here'),
  async measure({ file }, direction, times) {
    const start = childrenMs();
    for (let count = 0; count < times; count++) {
      if (direction === 'make') {
        const signed = run([
          'cms',
          '-sign',
          '-in',
          file('entity'),
          '-signer',
          file('sender'),
          '-inkey',
          file('sender.key'),
          '-certfile',
          file('ca'),
        ]);
        run(['cms', '-encrypt', '-aes256', file('recipient')], signed);
      } else {
        const content = run([
          'cms',
          '-decrypt',
          '-in',
          file('made'),
          '-recip',
          file('recipient'),
          '-inkey',
          file('recipient.key'),
        ]);
        run(['cms', '-verify', '-CAfile', file('ca'), '-attime', '1780315200', '-out', '/dev/null'], content);
      }
    }
    return (childrenMs() - start) / times;
  },
};
