/** Strings in order, kept in short runs so that adding one never moves many. */
export class SortedTexts {
  readonly #runs: string[][] = [[]];

  add(text: string): void {
    const index = this.#runFor(text);
    const run = this.#runs[index] ?? [];
    const at = lowerBound(run, text);
    if (run[at] === text) return;
    run.splice(at, 0, text);
    if (run.length > maxRun) this.#runs.splice(index, 1, run.slice(0, maxRun / 2), run.slice(maxRun / 2));
  }

  delete(text: string): void {
    const index = this.#runFor(text);
    const run = this.#runs[index] ?? [];
    const at = lowerBound(run, text);
    if (run[at] !== text) return;
    run.splice(at, 1);
    if (run.length === 0 && this.#runs.length > 1) this.#runs.splice(index, 1);
  }

  clear(): void {
    this.#runs.splice(0, Infinity, []);
  }

  /** Texts from `start` on, before `end`. Not to be changed while it runs. */
  *range(start: string, end: string | undefined): Generator<string, void, void> {
    for (let index = this.#runFor(start), first = true; index < this.#runs.length; index++, first = false) {
      const run = this.#runs[index] ?? [];
      for (let at = first ? lowerBound(run, start) : 0; at < run.length; at++) {
        const text = run[at] ?? '';
        if (end !== undefined && text >= end) return;
        yield text;
      }
    }
  }

  /** The run in which `text` is or would be. */
  #runFor(text: string): number {
    let low = 0;
    let high = this.#runs.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#runs[middle]?.[0] ?? '') <= text) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

const maxRun = 512;

function lowerBound(run: readonly string[], text: string): number {
  let low = 0;
  let high = run.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((run[middle] ?? '') < text) low = middle + 1;
    else high = middle;
  }
  return low;
}
