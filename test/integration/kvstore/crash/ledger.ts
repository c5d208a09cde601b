import { existsSync, readFileSync } from 'node:fs';
import type { Note } from './protocol.ts';
import { verify } from './verify.ts';

/** All that was acknowledged and seen over many lives of one store, as far as its history still can confirm it. */
export class Ledger {
  #notes: readonly Note[] = [];
  #revision = 1;
  #acknowledged = 0;
  #seen = 0;

  get counts(): { readonly acknowledged: number; readonly seen: number; readonly revision: number } {
    return { acknowledged: this.#acknowledged, seen: this.#seen, revision: this.#revision };
  }

  add(notes: readonly Note[]): void {
    const seen = notes.filter(({ type }) => type === 'seen').length;
    this.#seen += seen;
    this.#acknowledged += notes.length - seen;
    this.#notes = [...this.#notes, ...notes];
  }

  /** What the store in `directory` has lost or made up. */
  async compare(directory: string): Promise<readonly string[]> {
    const { violations, revision, compactRevision } = await verify(directory, this.#notes, this.#revision);
    this.#revision = revision;
    this.#notes = this.#notes.filter((note) => note.type === 'lease' || note.revision >= compactRevision);
    return violations;
  }
}

/** The last line may be torn: then what it tells of was told to nobody. */
export function readNotes(file: string): Note[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.slice(0, -1).map((line) => JSON.parse(line) as Note);
}
