// The machine: what a process may do and how many of them fit.

import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { leaveNoCore } from '@sealpost/service';
import { type Finding, ok, warning } from './finding.ts';

/** One socket for each session of the ingress and some files for each message. */
const leastFiles = 4_096;
const leastMemory = 2 * 2 ** 30;

export function examineMachine(): Finding[] {
  return [files(), cores(), coreDumps()].flat();
}

function files(): Finding[] {
  const limit = Number(limitOf('Max open files') ?? Number.NaN);
  if (Number.isNaN(limit)) return [];
  if (limit < leastFiles)
    return [
      warning(
        'machine',
        `a process may open ${limit} files only`,
        `raise it to ${leastFiles}: LimitNOFILE of the service, or ulimit -n`,
      ),
    ];
  return [ok('machine', `a process may open ${limit} files`)];
}

function cores(): Finding {
  const [count, memory] = [availableParallelism(), totalmem()];
  const text = `${count} cores, ${Math.round(memory / 2 ** 30)} GiB of memory`;
  if (memory < leastMemory) return warning('machine', text, 'a whole gateway on one machine wants 2 GiB');
  return ok('machine', `${text}: as many crypto workers as cores is where to begin`);
}

/** A core dump holds what the process holds: mail, and keys. */
function coreDumps(): Finding {
  return coreDumpFinding({ keptOut: leaveNoCore(), limit: limitOf('Max core file size') });
}

/** Processes keep their memory out of dumps where Linux lets them, piped ones too, which no limit stops; else the limit counts. */
export function coreDumpFinding({
  keptOut,
  limit,
}: {
  readonly keptOut: boolean;
  readonly limit?: string | undefined;
}) {
  if (keptOut) return ok('machine', 'core dumps hold no memory of the gateway');
  if (limit === undefined || limit === '0') return ok('machine', 'no core dumps');
  return warning(
    'machine',
    'processes started from here may leave core dumps, which hold mail and keys',
    'ulimit -c 0, or LimitCORE=0 of the service',
  );
}

/** The soft limit of this process, as Linux tells it. */
function limitOf(name: string): string | undefined {
  if (!existsSync('/proc/self/limits')) return undefined;
  const line = readFileSync('/proc/self/limits', 'utf8')
    .split('\n')
    .find((each) => each.startsWith(name));
  return line?.slice(name.length).trim().split(/\s+/)[0];
}
