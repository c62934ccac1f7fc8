// Types the blocks of a page into one shell, as a reader would: CODE is what the person's authenticator shows, REQUEST the id that a
// command before printed.

import { spawn } from 'node:child_process';
import { createHmac, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** A build fetches the libraries once; everything else takes seconds. */
const longestMs = { build: 8 * 60_000, else: 120_000 };
const stepMs = 30_000;

export interface WalkOptions {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Text of the page, by what is typed instead: names of the reader's own. */
  readonly instead: Readonly<Record<string, string>>;
}

export interface Walk {
  /** Types all blocks under the heading `### NAME`; what they printed. */
  section(name: string): Promise<string>;
  /** Types one command; what it printed. Rejects with what it said when it failed. */
  type(command: string): Promise<string>;
  /** The commands under a heading that begin with these words. */
  commands(name: string, beginning: string): readonly string[];
  end(): void;
}

export function startWalk(page: string, { cwd, env, instead }: WalkOptions): Walk {
  const text = Object.entries(instead).reduce(
    (all, [from, to]) => all.replaceAll(from, to),
    readFileSync(page, 'utf8'),
  );
  const shell = spawn('bash', [], { cwd, env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
  shell.stdout.setEncoding('utf8');
  shell.stderr.setEncoding('utf8');
  const codes = startCodes();
  let request = '';

  /** What it prints runs up to a line that nothing else prints; nothing reads what is typed next. */
  async function run(command: string): Promise<{ status: number; out: string; said: string }> {
    const mark = randomUUID();
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; out: string; said: string }>();
    const timer = setTimeout(
      () => reject(new Error(`${command}\nhas not ended:\n${out}${said}`)),
      command.includes(' build') ? longestMs.build : longestMs.else,
    );
    let out = '';
    let said = '';
    const hear = (data: string): void => {
      out += data;
      const end = new RegExp(`${mark} (\\d+)\\n$`).exec(out);
      if (end) resolve({ status: Number(end[1]), out: out.slice(0, end.index), said });
    };
    const listen = (data: string): void => {
      said += data;
    };
    shell.stdout.on('data', hear);
    shell.stderr.on('data', listen);
    try {
      shell.stdin.write(`{ ${command}\n} < /dev/null; printf '${mark} %s\\n' $?\n`);
      return await promise;
    } finally {
      clearTimeout(timer);
      shell.stdout.off('data', hear);
      shell.stderr.off('data', listen);
    }
  }

  async function type(command: string): Promise<string> {
    const person = /\$(alice|bob)\b/.exec(command)?.[1] ?? 'operator';
    const typed = command
      .replaceAll('REQUEST', request)
      .replace(/\bCODE\b/, command.includes('--code CODE') ? await codes.next(person) : 'CODE');
    const { status, out, said } = await run(typed);
    if (status !== 0) throw new Error(`${typed}\nended with ${status}:\n${out}${said.slice(-4_000)}`);
    if (command.includes('people enrol')) codes.learn(person, out.trim());
    request = /^request +([0-9a-f-]{36})$/m.exec(out)?.[1] ?? request;
    return out;
  }

  const commandsOf = (name: string): readonly string[] => {
    const [, section] = text.split(`\n### ${name}\n`);
    if (section === undefined) throw new Error(`the page has no section ${name}`);
    const [own = ''] = section.split(/\n###? /);
    return [...own.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block = '']) => commandsIn(block));
  };

  return {
    async section(name) {
      let out = '';
      for (const command of commandsOf(name)) out += await type(command);
      return out;
    },
    type,
    commands: (name, beginning) => commandsOf(name).filter((command) => command.startsWith(beginning)),
    end: () => shell.kill(),
  };
}

/** Lines, where one that ends with a backslash goes on, and a loop is one command. */
function commandsIn(block: string): string[] {
  return block
    .replace(/\\\n\s+/g, '')
    .replace(/; do\n([\s\S]*?)\ndone/g, (_, body: string) => `; do ${body.trim().replace(/\n\s*/g, '; ')}; done`)
    .split('\n')
    .filter((line) => line.trim() !== '');
}

/** Authenticators (RFC 6238). A code counts once, so the next one is of a later step, waited for where it is too far off. */
function startCodes() {
  const held = new Map<string, { readonly uri: string; step: number }>();
  return {
    learn: (person: string, uri: string) => void held.set(person, { uri, step: 0 }),
    async next(person: string): Promise<string> {
      const mine = held.get(person);
      if (!mine) throw new Error(`${person} has no second factor`);
      mine.step = Math.max(mine.step + 1, Math.floor(Date.now() / stepMs));
      // One step early is taken.
      await sleep(Math.max(0, (mine.step - 1) * stepMs - Date.now()));
      return codeAt(mine.uri, mine.step);
    },
  };
}

function codeAt(uri: string, step: number): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const secret = new URL(uri).searchParams.get('secret') ?? '';
  const bits = [...secret].map((letter) => alphabet.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac('sha1', key).update(counter).digest();
  const number = mac.readUInt32BE((mac.at(-1) ?? 0) & 15) & 0x7f_ff_ff_ff;
  return String(number % 1_000_000).padStart(6, '0');
}
