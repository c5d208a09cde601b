import { type Span, keyText, successor } from './span.ts';

const maxEntries = 256;
/** Of the texts of both bounds. A bound may have megabytes, which no key has. */
const maxNameLength = 16 * 1024;

/**
 * Every page of a listing says how many keys there are from it on. Counting walks over all of them, so the next page's
 * count is remembered: this one's, less what this one gave. It holds because the page names its revision.
 */
export class PageCounts {
  readonly #counts = new Map<string, number>();

  get(span: Span, revision: number): number | undefined {
    return this.#counts.get(nameOf(span.start, span, revision));
  }

  /** `given` keys of `count` were answered, `last` is the last of them. */
  remember(span: Span, revision: number, last: Uint8Array, count: number, given: number): void {
    const name = nameOf(successor(last), span, revision);
    if (name.length > maxNameLength) return;
    this.#counts.delete(name);
    this.#counts.set(name, count - given);
    if (this.#counts.size <= maxEntries) return;
    for (const oldest of this.#counts.keys()) {
      this.#counts.delete(oldest);
      return;
    }
  }
}

function nameOf(start: Uint8Array, { end }: Span, revision: number): string {
  return `${revision} ${start.length} ${keyText(start)}${end ? `-${keyText(end)}` : ''}`;
}
