// The content of one layer of a message: hashed, and handed to the file that it is for once the whole has opened. Until then it lies
// beside that file and not in memory, where a large message is twice already.

import { createHash } from 'node:crypto';
import { renameSync, rmSync, statSync } from 'node:fs';
import { writeOutput } from '../write-output.ts';

export class ContentSink {
  readonly #layer: 'outermost' | 'innermost';
  readonly #out: string | undefined;
  #part: string | undefined;
  #kept: Buffer | undefined;
  /** Hex. */
  sha256: string | undefined;

  constructor(layer: 'outermost' | 'innermost', out: string | undefined) {
    this.#layer = layer;
    this.#out = out;
  }

  /** Called for each layer from the outside in. Throws UsageError when the file cannot be written. */
  show(octets: Buffer): void {
    if (this.#layer === 'outermost' && this.sha256 !== undefined) return;
    this.sha256 = createHash('sha256').update(octets).digest('hex');
    if (this.#out === undefined) return;
    // A device or a pipe must not be replaced by a file.
    if (isSpecial(this.#out)) {
      this.#kept = Buffer.from(octets);
      return;
    }
    this.#part = `${this.#out}.part`;
    writeOutput(this.#part, octets);
  }

  /** The whole has opened. */
  release(): void {
    if (this.#out === undefined) return;
    if (this.#kept !== undefined) writeOutput(this.#out, this.#kept);
    if (this.#part !== undefined) renameSync(this.#part, this.#out);
    this.#part = undefined;
  }

  /** What was not released is gone. */
  discard(): void {
    if (this.#part !== undefined) rmSync(this.#part, { force: true });
  }
}

function isSpecial(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isFile() === false;
}
