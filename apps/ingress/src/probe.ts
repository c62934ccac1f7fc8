// Asks the next hop whether a recipient exists: MAIL FROM:<>, RCPT TO, QUIT, never DATA (RFC 5321 §3.3). The next hop's words stay
// here; only its verdict leaves.

import { connect } from 'node:net';

export type Verdict = 'known' | 'unknown' | 'unclear';

export interface ProbeTarget {
  readonly host: string;
  readonly port: number;
}

/** RFC 5321 §4.5.3.2 allows minutes for each reply; the client of ours that waits for this one has not so much patience. */
const probeMs = 10_000;
/** A reply is a few lines. */
const maxReply = 8 * 1024;
/** A finished reply: its last line has a space, or nothing, after the code. */
const lastLine = /^(\d{3})(?: ([245]\.\d{1,3}\.\d{1,3})?.*)?\r?\n/m;

/**
 * `known` where the next hop takes the recipient, `unknown` where it refuses this recipient for good, `unclear` for everything else:
 * away, busy, or refusing us rather than the recipient.
 */
export function probe(target: ProbeTarget, address: string, helo: string): Promise<Verdict> {
  const isAscii = /^[\x21-\x7e]+$/.test(address);
  const script = [`EHLO ${helo}`, `MAIL FROM:<>${isAscii ? '' : ' SMTPUTF8'}`, `RCPT TO:<${address}>`];
  return new Promise((resolve) => {
    const socket = connect(target.port, target.host);
    let step = -1;
    let text = '';
    const end = (verdict: Verdict) => {
      clearTimeout(timer);
      resolve(verdict);
      socket.end('QUIT\r\n');
      socket.destroySoon();
    };
    const timer = setTimeout(() => {
      resolve('unclear');
      socket.destroy();
    }, probeMs);
    socket.setEncoding('latin1');
    socket.on('error', () => end('unclear'));
    socket.on('close', () => end('unclear'));
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (text.length > maxReply) return end('unclear');
      const reply = lastLine.exec(text);
      if (!reply) return;
      text = text.slice(reply.index + reply[0].length);
      const isPositive = reply[1]?.startsWith('2') === true;
      if (step === script.length - 1) return end(isPositive ? 'known' : refused(reply[1], reply[2]));
      if (!isPositive) return end('unclear');
      socket.write(`${script[++step]}\r\n`);
    });
  });
}

/** A refusal by policy (5.7.x) or protocol (5.5.x) is about us, not about the recipient (RFC 3463 §3). */
function refused(code = '', enhanced = ''): Verdict {
  return code.startsWith('5') && !/^5\.[57]\./.test(enhanced) ? 'unknown' : 'unclear';
}
