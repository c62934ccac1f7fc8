// Processor time of processes, from /proc (Linux, proc(5)).

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const tickMs = 1000 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** Milliseconds by name of what used them. */
export type CpuTimes = Readonly<Record<string, number>>;

interface Stat {
  readonly parent: number;
  readonly name: string;
  /** User and system time of the process itself. */
  readonly ownMs: number;
  /** The same of its children that ended and were waited for, and of theirs. */
  readonly endedMs: number;
}

function readStat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name stands in parentheses and may hold any character.
    const end = text.lastIndexOf(')');
    const field = text.slice(end + 2).split(' ');
    const ms = (at: number): number => Number(field[at]) * tickMs;
    return {
      parent: Number(field[1]),
      name: text.slice(text.indexOf('(') + 1, end),
      ownMs: ms(11) + ms(12),
      endedMs: ms(13) + ms(14),
    };
  } catch {
    return undefined;
  }
}

/** What these processes have used so far. */
export function cpuOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + (readStat(pid)?.ownMs ?? 0), 0);
}

/** What a process and all below it have used so far, those that ended included; by process name, `NAME's children` for the latter. */
export function cpuOfTree(root: number): CpuTimes {
  const stats = new Map<number, Stat>();
  for (const entry of readdirSync('/proc')) {
    const stat = /^\d+$/.test(entry) ? readStat(Number(entry)) : undefined;
    if (stat) stats.set(Number(entry), stat);
  }
  const isBelow = (pid: number): boolean => {
    const stat = stats.get(pid);
    return pid === root || (stat !== undefined && stat.parent > 1 && isBelow(stat.parent));
  };
  const times: Record<string, number> = {};
  for (const [pid, { name, ownMs, endedMs }] of stats) {
    if (!isBelow(pid)) continue;
    times[name] = (times[name] ?? 0) + ownMs;
    if (endedMs > 0) times[`${name}'s children`] = (times[`${name}'s children`] ?? 0) + endedMs;
  }
  return times;
}

/** What was used between two readings. */
export function cpuBetween(before: CpuTimes, after: CpuTimes): CpuTimes {
  return Object.fromEntries(Object.entries(after).map(([name, ms]) => [name, ms - (before[name] ?? 0)]));
}
