// Bouncy Castle's mail API (Debian's libbcmail-java) in one virtual machine that is warmed and then kept for all rounds.

import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Contender, Direction } from './contender.ts';
import type { Scene } from './scene.ts';

const JARS = ['bcmail', 'bcpkix', 'bcutil', 'bcprov', 'javax.mail', 'javax.activation'].map(
  (name) => `/usr/share/java/${name}.jar`,
);
const isThere = JARS.every((jar) => existsSync(jar)) && spawnSync('java', ['-version']).status === 0;

/** Its compiler needs some thousands of runs of small work until it is done. */
const WARM_UP_OCTETS = 150_000_000;

let machine: { child: ChildProcessWithoutNullStreams; lines: AsyncIterator<string> } | undefined;
const warm = new Set<string>();

function start(): NonNullable<typeof machine> {
  const source = new URL('Bouncy.java', import.meta.url).pathname;
  const child = spawn('java', ['-Xmx3g', '-cp', JARS.join(':'), source]);
  child.stderr.pipe(process.stderr);
  machine = { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
  return machine;
}

async function command({ kind, file }: Scene, direction: Direction, times: number): Promise<number> {
  const { child, lines } = machine ?? start();
  const algorithm = kind === 'p256' ? 'EC' : 'RSA';
  const files = (['entity', 'made', 'ca', 'sender', 'sender.key', 'recipient', 'recipient.key'] as const).map(file);
  child.stdin.write(`${[direction, times, algorithm, ...files].join('\t')}\n`);
  const { value, done } = await lines.next();
  if (done === true) throw new Error('the virtual machine ended');
  return Number(value);
}

export const bouncy: Contender = {
  name: 'bouncy castle',
  skip: () => (isThere ? undefined : 'no Java with libbcmail-java here'),
  async measure(scene, direction, times) {
    const what = `${direction} ${scene.kind} ${scene.bytes}`;
    if (!warm.has(what))
      await command(scene, direction, Math.max(3, Math.min(2000, Math.round(WARM_UP_OCTETS / scene.bytes))));
    warm.add(what);
    return await command(scene, direction, times);
  },
};

export function stopBouncy(): void {
  machine?.child.kill();
}
