// A Postfix of one's own: Debian's programs on a queue and a configuration in a temporary directory, on loopback ports only. The
// machine's own Postfix, if it runs, is not touched.

import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** The services that every Postfix has, none of them on the network, none in a chroot. */
const services = `
cleanup    unix n - n - 0 cleanup
qmgr       unix n - n 300 1 qmgr
tlsmgr     unix - - n 1000? 1 tlsmgr
tlsproxy   unix - - n - 0 tlsproxy
rewrite    unix - - n - - trivial-rewrite
bounce     unix - - n - 0 bounce
defer      unix - - n - 0 bounce
trace      unix - - n - 0 bounce
verify     unix - - n - 1 verify
flush      unix n - n 1000? 0 flush
proxymap   unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp       unix - - n - - smtp
relay      unix - - n - - smtp
showq      unix n - n - - showq
error      unix - - n - - error
retry      unix - - n - - error
discard    unix - - n - - discard
virtual    unix - n n - - virtual
anvil      unix - - n - 1 anvil
scache     unix - - n - 1 scache
postlog    unix-dgram n - n - 1 postlogd
`;

/** User `nobody`, whose mailboxes they are. */
const mailboxOwner = 65534;

export interface PostfixOptions {
  /** Lines of main.cf beyond what an instance of its own needs. */
  readonly main: string;
  /** Entries of master.cf beyond the services above. */
  readonly master: string;
}

export interface Postfix {
  readonly directory: string;
  /** Process id of its master. */
  readonly pid: number;
  log(): string;
  /** Hands a message in as a program on the machine does. */
  sendmail(from: string, to: readonly string[], message: string | Buffer): void;
  /** Everything in the queue goes out now. */
  flush(): void;
  stop(): Promise<void>;
}

/** Why no Postfix can be run here; false where it can. */
export function postfixMissing(): string | false {
  if (!existsSync('/usr/sbin/postfix')) return 'postfix is not installed (Debian: apt-get install postfix)';
  return process.getuid?.() === 0 ? false : 'Postfix can be started by root only';
}

/** A directory that Postfix's users may walk through, for what must stand there before it starts. */
export function postfixDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'sealpost-postfix-'));
  chmodSync(directory, 0o755);
  const mailboxes = join(directory, 'mailboxes');
  mkdirSync(mailboxes);
  chownSync(mailboxes, mailboxOwner, mailboxOwner);
  return directory;
}

export async function startPostfix(directory: string, { main, master }: PostfixOptions): Promise<Postfix> {
  const inside = (name: string): string => join(directory, name);
  const config = inside('etc');
  const log = inside('postfix.log');
  for (const name of ['etc', 'queue', 'data']) mkdirSync(inside(name));
  execFileSync('chown', ['postfix', inside('data')]);
  const base = [
    'compatibility_level = 3.6',
    `queue_directory = ${inside('queue')}`,
    `data_directory = ${inside('data')}`,
    `maillog_file = ${log}`,
    `maillog_file_prefixes = ${directory}`,
    'mail_owner = postfix',
    'setgid_group = postdrop',
    'inet_interfaces = 127.0.0.1',
    'inet_protocols = ipv4',
    'mynetworks = 127.0.0.0/8',
    'mydestination =',
    `virtual_mailbox_base = ${inside('mailboxes')}`,
    `virtual_uid_maps = static:${mailboxOwner}`,
    `virtual_gid_maps = static:${mailboxOwner}`,
    'alias_maps =',
    'alias_database =',
    'biff = no',
  ];
  writeFileSync(join(config, 'main.cf'), `${base.join('\n')}\n${main}\n`);
  writeFileSync(join(config, 'master.cf'), `${services}${master}\n`);
  const postfix = (...args: string[]) => promisify(execFile)('/usr/sbin/postfix', ['-c', config, ...args]);
  await postfix('check');
  await postfix('start');
  const pid = Number(readFileSync(inside('queue/pid/master.pid'), 'utf8'));
  // The rest of a test that died must not hold its ports.
  const endOfParent = () => void process.kill(pid, 'SIGTERM');
  process.once('exit', endOfParent);

  return {
    directory,
    pid,
    log: () => readFileSync(log, 'utf8'),
    sendmail(from, to, message) {
      execFileSync('/usr/sbin/sendmail', ['-C', config, '-i', '-f', from, '--', ...to], { input: message });
    },
    flush: () => void execFileSync('/usr/sbin/postqueue', ['-c', config, '-f']),
    async stop() {
      process.removeListener('exit', endOfParent);
      await postfix('stop');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Raw messages in a Maildir under `mailboxes`, oldest first as far as Postfix' file names tell. */
export function readMaildir(directory: string, name: string): Buffer[] {
  const folder = join(directory, 'mailboxes', name, 'new');
  if (!existsSync(folder)) return [];
  const files = execFileSync('ls', ['-tr', folder], { encoding: 'utf8' }).split('\n').filter(Boolean);
  return files.map((file) => readFileSync(join(folder, file)));
}
