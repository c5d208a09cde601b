import type { CommandContext } from '../command.ts';

const everyMs = 100;
const barWidth = 24;

/** One line on a terminal that is written over, and nothing at all elsewhere. On standard error: results go past it. */
export class ProgressLine implements Disposable {
  readonly #context: CommandContext;
  #lastMs = Number.NEGATIVE_INFINITY;
  #shown = false;

  constructor(context: CommandContext) {
    this.#context = context;
  }

  /** Shows the text, unless another was shown a moment ago. */
  show(text: string): void {
    const { terminal, clock, stderr } = this.#context;
    const now = clock.monotonicMs();
    if (!terminal || now - this.#lastMs < everyMs) return;
    this.#lastMs = now;
    this.#shown = true;
    stderr(`\r\u001B[K${text.slice(0, terminal.columns - 1)}`);
  }

  /** Takes the line away, so that something else can be printed. */
  clear(): void {
    if (this.#shown) this.#context.stderr('\r\u001B[K');
    this.#shown = false;
    this.#lastMs = Number.NEGATIVE_INFINITY;
  }

  [Symbol.dispose](): void {
    this.clear();
  }
}

/** `[#######-----]  58 %  5,800 of 10,000 keys`; without a bar where nobody knows how many there are. */
export function progressBar(done: number, total: number | undefined, unit: string): string {
  if (total === undefined) return `${count(done)} ${unit}`;
  const part = total <= 0 ? 1 : Math.min(1, done / total);
  const filled = Math.round(part * barWidth);
  const percent = `${Math.floor(part * 100)}`.padStart(3);
  const bar = `${'#'.repeat(filled)}${'-'.repeat(barWidth - filled)}`;
  return `[${bar}] ${percent} %  ${count(done)} of ${count(Math.max(done, total))} ${unit}`;
}

/** `1,234,567` */
export function count(number: number): string {
  return number.toLocaleString('en-US');
}
