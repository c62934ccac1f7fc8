// Which code of the engine has run, by V8's block coverage of this thread. Kept as a map of octets for each source file: a block
// that runs for the first time shows as octets that were not covered before.

import { Session } from 'node:inspector';

const ROOM = '/packages/smime/src/';

interface Range {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

interface Script {
  readonly url: string;
  readonly functions: readonly { readonly ranges: readonly Range[] }[];
}

interface SourceFile {
  readonly covered: Uint8Array;
  /** Octets that belong to some function. */
  readonly code: Uint8Array;
  /** Start of each function → whether it ever ran. */
  readonly functions: Map<number, boolean>;
}

export interface CoverageSummary {
  readonly functions: number;
  readonly functionsRun: number;
  /** Octets of source inside functions. */
  readonly octets: number;
  readonly octetsRun: number;
}

export class Coverage {
  readonly #session = new Session();
  readonly #files = new Map<string, SourceFile>();

  /** To be called before the engine is loaded. */
  start(): void {
    this.#session.connect();
    this.#post('Profiler.enable');
    this.#post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /**
   * Octets that ran since the last call and are not yet accounted for. Unless `commit`, they stay to be found again: of a
   * batch that shows something new it is then told which input did.
   */
  take(commit: boolean): number {
    const { result } = this.#post('Profiler.takePreciseCoverage') as { result: readonly Script[] };
    let fresh = 0;
    for (const script of result) if (script.url.includes(ROOM)) fresh += this.#add(script, commit);
    return fresh;
  }

  /** By room of the engine; `` is the whole. */
  summary(): Record<string, CoverageSummary> {
    const rooms: Record<string, CoverageSummary> = {};
    for (const [url, file] of this.#files) {
      const path = url.slice(url.indexOf(ROOM) + ROOM.length);
      for (const room of ['all', path.includes('/') ? path.slice(0, path.indexOf('/')) : 'top']) {
        rooms[room] = add(rooms[room], file);
      }
    }
    return rooms;
  }

  #post(method: string, parameters: object = {}): unknown {
    let answer: unknown;
    // Within one thread the answer comes before `post` returns.
    this.#session.post(method, parameters, (error, result) => {
      if (error) throw error;
      answer = result;
    });
    return answer;
  }

  #add({ url, functions }: Script, commit: boolean): number {
    const length = Math.max(...functions.map(({ ranges: [whole] }) => whole?.endOffset ?? 0));
    const file = this.#file(url, length);
    const now = new Uint8Array(length);
    for (const { ranges } of functions) {
      const [whole] = ranges;
      if (whole === undefined) continue;
      // The first function is the module itself; what it holds outside of functions is no code to reach.
      if (whole.startOffset > 0) {
        file.functions.set(whole.startOffset, file.functions.get(whole.startOffset) === true || whole.count > 0);
        file.code.fill(1, whole.startOffset, whole.endOffset);
      }
      for (const { startOffset, endOffset, count } of ranges) now.fill(count > 0 ? 1 : 0, startOffset, endOffset);
    }
    let fresh = 0;
    for (let at = 0; at < length; at++) {
      if (now[at] === 1 && file.covered[at] === 0) {
        if (commit) file.covered[at] = 1;
        fresh += 1;
      }
    }
    return fresh;
  }

  #file(url: string, length: number): SourceFile {
    const known = this.#files.get(url);
    if (known !== undefined && known.covered.length >= length) return known;
    const file = {
      covered: new Uint8Array(length),
      code: new Uint8Array(length),
      functions: known?.functions ?? new Map(),
    };
    file.covered.set(known?.covered ?? []);
    file.code.set(known?.code ?? []);
    this.#files.set(url, file);
    return file;
  }
}

function add(sum: CoverageSummary | undefined, { functions, code, covered }: SourceFile): CoverageSummary {
  let [octets, octetsRun] = [0, 0];
  for (let at = 0; at < code.length; at++) {
    if (code[at] === 0) continue;
    octets += 1;
    octetsRun += covered[at] ?? 0;
  }
  const run = [...functions.values()].filter(Boolean).length;
  return {
    functions: (sum?.functions ?? 0) + functions.size,
    functionsRun: (sum?.functionsRun ?? 0) + run,
    octets: (sum?.octets ?? 0) + octets,
    octetsRun: (sum?.octetsRun ?? 0) + octetsRun,
  };
}
