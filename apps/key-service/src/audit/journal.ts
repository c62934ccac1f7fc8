// Appends to the audit log with group commit: whatever waits goes to disk in one write and one fdatasync, and only then are its
// writers told. A disk that fails or does not answer in time makes them fail; nothing passes unlogged and nothing hangs.

import { fail } from '@sealpost/core';
import {
  type AuditEntry,
  type ChainHead,
  type Checkpoint,
  chainLine,
  formatHead,
  maxGroupBytes,
  type SignedHead,
} from '@sealpost/service';
import type { HeadSigner } from './head-signer.ts';
import type { Sink } from './sink.ts';

/** Records in one group; at most 1 KiB each they stay below `maxGroupBytes`. */
const maxGroup = 512;
/** Records that wait; more means that the disk is too slow for the load. */
const maxWaiting = 16_384;

/** Records between two checkpoints, at most; one more line in a thousand. */
const checkpointEvery = 1_000;
/** Hashes of the last records that are remembered, to compare clients' heads with. */
const remembered = 16_384;

export interface Journal {
  /** Resolves when the entry is on disk. Error: `audit-unavailable`. */
  append(entry: AuditEntry): Promise<void>;
  /** The durable head, where its line ends in the file, and the number of the file's first record. */
  head(): { readonly head: ChainHead; readonly end: number; readonly segment: number };
  /** What the first line of the file signs, where it is a checkpoint; whether it is genuine, only the audit key tells. */
  opening(): SignedHead | undefined;
  /**
   * From now on heads are signed and checkpoints written, and each record says how many changes the store has (`commits`); undefined
   * ends that.
   */
  signWith(signer: HeadSigner | undefined, commits?: () => number): void;
  /** How many changes of the store the log knows of; 0 when it does not say. */
  commits(): number;
  /** Resolves when everything before is under a signature on disk. Error: `audit-unavailable`. */
  checkpoint(at: Date): Promise<void>;
  /** The durable head, signed, as answers carry it; undefined before the first signer or record. */
  signedHead(): string | undefined;
  /** Hash of a durable record, if it is one of the last. */
  hashAt(seq: number): string | undefined;
  /** The last group failed, or hangs. */
  isFailing(): boolean;
  close(): Promise<void>;
}

export interface JournalOptions {
  readonly head: ChainHead;
  readonly end: number;
  /** Number of the file's first record, 1 unless told, and what its first line signs. */
  readonly segment?: number;
  readonly opening?: SignedHead | undefined;
  /** A file that reached this length is closed and the next one begun. */
  readonly segmentBytes?: number;
  /** What the last record that says so knows of the store's changes. */
  readonly commits?: number;
  /** Hashes of the last records, by number, oldest first. */
  readonly hashes?: Map<number, string>;
  readonly deadlineMs: number;
  onFailure(error: unknown): void;
  onGroup?(records: number, seconds: number): void;
}

interface Waiting {
  /** A date asks for a checkpoint at that time. */
  readonly entry: AuditEntry | Date;
  readonly done: () => void;
  readonly failed: (error: Error) => void;
}

export function openJournal(sink: Sink, options: JournalOptions): Journal {
  let { head, end, segment = 1, opening } = options;
  const { segmentBytes = Number.POSITIVE_INFINITY } = options;
  const hashes = options.hashes ?? new Map<number, string>();
  let signer: HeadSigner | undefined;
  let storeCommits: (() => number) | undefined;
  let { commits: known = 0 } = options;
  /** Records since the last checkpoint. */
  let unsigned = 0;
  let signed: { readonly of: ChainHead; readonly text: string } | undefined;
  let waiting: Waiting[] = [];
  let isRunning = false;
  let failing = false;
  /** The write that did not end in time; nothing else may touch the file before it does. */
  let hanging: Promise<unknown> | undefined;

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      const group = waiting.splice(0, maxGroup);
      const started = performance.now();
      try {
        await commit(group.map(({ entry }) => entry));
        if (failing) failing = false;
        options.onGroup?.(group.length, (performance.now() - started) / 1000);
        for (const { done } of group) done();
      } catch (error) {
        if (!failing) options.onFailure(error);
        failing = true;
        const late = waiting;
        waiting = [];
        for (const { failed } of [...group, ...late]) failed(fail('audit-unavailable'));
      }
    }
    isRunning = false;
  }

  async function commit(entries: readonly (AuditEntry | Date)[]): Promise<void> {
    if (hanging) throw new Error('the last write still hangs');
    const [first] = entries;
    if (signer && first && end >= segmentBytes) await beginSegment(signer, first instanceof Date ? first : first.at);
    const lines: string[] = [];
    const heads: ChainHead[] = [];
    let next = head;
    let since = unsigned;
    const commits = storeCommits?.();
    const add = (entry: AuditEntry | Checkpoint): void => {
      const { line, head: after } = chainLine(withCommits(entry, commits), next);
      lines.push(line);
      heads.push(after);
      next = after;
      since = entry.kind === 'checkpoint' ? 0 : since + 1;
    };
    for (const entry of entries) {
      const isAsked = entry instanceof Date;
      if (!isAsked) add(entry);
      if (!signer || since < (isAsked ? 1 : checkpointEvery)) continue;
      const at = isAsked ? entry : entry.at;
      add({ at, kind: 'checkpoint', head: formatHead(signer.sign(next)), key: signer.key });
    }
    if (lines.length === 0) return;
    const bytes = Buffer.from(lines.join(''), 'utf8');
    if (bytes.length > maxGroupBytes) throw new Error('records too long');
    const repair = failing;
    const work = (async () => {
      // What a failed group may have left behind was never answered for.
      if (repair) await sink.truncate(end);
      await sink.write(bytes, end);
      await sink.sync();
    })();
    await inTime(work);
    head = next;
    known = commits ?? known;
    end += bytes.length;
    unsigned = since;
    for (const { seq, hash } of heads) remember(hashes, seq, hash);
  }

  /** The new file begins with a checkpoint of all before it. */
  async function beginSegment(by: HeadSigner, at: Date): Promise<void> {
    const signed = by.sign(head);
    const checkpoint: Checkpoint = { at, kind: 'checkpoint', head: formatHead(signed), key: by.key };
    // Whoever reads this file only must find it here.
    const { line, head: after } = chainLine(withCommits(checkpoint, storeCommits?.() ?? (known || undefined)), head);
    const bytes = Buffer.from(line, 'utf8');
    await inTime(sink.rotate(segment, bytes));
    [opening, segment, head, end, unsigned] = [signed, after.seq, after, bytes.length, 0];
    remember(hashes, after.seq, after.hash);
  }

  async function inTime(work: Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('the audit disk does not answer')), options.deadlineMs);
    });
    const settled = (): void => {
      hanging = undefined;
    };
    hanging = work.then(settled, settled);
    try {
      await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  function enter(entry: AuditEntry | Date): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      if (waiting.length >= maxWaiting) {
        reject(fail('audit-unavailable'));
        return;
      }
      waiting.push({ entry, done: resolve, failed: reject });
      if (isRunning) return;
      isRunning = true;
      // One turn later, so that requests that arrived together share a group.
      setImmediate(run);
    });
  }

  return {
    append: enter,
    head: () => ({ head, end, segment }),
    opening: () => opening,
    commits: () => known,
    signWith(next, commits) {
      signer = next;
      storeCommits = commits;
      signed = undefined;
    },
    checkpoint: enter,
    signedHead() {
      if (!signer || head.seq === 0) return undefined;
      // Signed once for all the answers of a group.
      if (signed?.of !== head) signed = { of: head, text: formatHead(signer.sign(head)) };
      return signed.text;
    },
    hashAt: (seq) => hashes.get(seq),
    isFailing: () => failing,
    async close() {
      while (isRunning) await new Promise((resolve) => setImmediate(resolve));
      await (hanging ? undefined : sink.close());
    },
  };
}

function withCommits<E extends AuditEntry | Checkpoint>(entry: E, commits: number | undefined): E {
  return commits === undefined ? entry : { ...entry, commits };
}

/** Keeps the hash of a record, and those of the last ones before it. */
export function remember(hashes: Map<number, string>, seq: number, hash: string): void {
  hashes.set(seq, hash);
  hashes.delete(seq - remembered);
}
