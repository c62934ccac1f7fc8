// What the store remembers of its audit log, sealed in a row of its own: the log's name and where it last stood, the highest head
// that a client showed and the log did not hold, and the names of logs that were given up.

import { randomBytes } from 'node:crypto';
import type { ChainHead } from '@sealpost/service';
import { installationTenant } from '../authority/authority.ts';
import type { Records } from '../store/records.ts';

export interface LogMemory {
  /** 32 hex digits. */
  readonly log: string;
  /** Given up by an operator: heads of these prove nothing against the log of now. */
  readonly replaced: readonly string[];
  readonly head?: ChainHead;
  /** Where the head's line ends in the file. */
  readonly end?: number;
  /** Number of that file's first record; 1 where it is left out. */
  readonly segment?: number;
  /** A client holds this head; a log without it is not the one that this store wrote. */
  readonly shown?: ChainHead;
}

const name = { kind: 'audit-head', tenant: installationTenant, owner: '', id: 'head' } as const;

/** A store that never wrote a log begins one. */
export async function recallLog(records: Records): Promise<LogMemory> {
  const kept = await records.get(name);
  const known = kept ? (JSON.parse(kept.toString('utf8')) as Partial<LogMemory>) : {};
  return { log: newLogName(), replaced: [], ...known };
}

export async function rememberLog(records: Records, memory: LogMemory): Promise<void> {
  await records.replace(name, Buffer.from(JSON.stringify(memory)));
}

/** The memory of a log that takes the place of another one. */
export function beginAnew({ log, replaced }: LogMemory): LogMemory {
  return { log: newLogName(), replaced: [...replaced, log] };
}

function newLogName(): string {
  return randomBytes(16).toString('hex');
}
