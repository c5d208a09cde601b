import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** What one run of a reader says; see `reader.ts` and `rivals/etcdload/ips.go`. */
export interface Reading {
  readonly count: number;
  readonly seconds: number;
  /** Of the reading process, in seconds. */
  readonly cpu: number;
  readonly p50?: number;
  readonly p99?: number;
}

export interface Held {
  readonly count: number;
  readonly cpu: number;
  readonly bytesPerEntry: number;
  readonly rssBytes: number;
  readonly worstPauseMs: number;
  readonly fullPauseMs: number;
}

/** A Node process that runs a file of this folder and answers one line for each line. */
export class Worker implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(file: string, ...flags: readonly string[]) {
    this.#child = spawn(process.execPath, ['--expose-gc', fileURLToPath(new URL(file, import.meta.url)), ...flags], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const { stdout } = this.#child;
    if (!stdout) throw new Error(`${file} has no output`);
    this.#lines = createInterface(stdout)[Symbol.asyncIterator]();
  }

  /** Sends a command; its answer is the next line. */
  async ask(...words: readonly (string | number)[]): Promise<string> {
    this.#child.stdin?.write(`${words.join(' ')}\n`);
    return this.line();
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done)
      throw new Error(`A process of the benchmark ended with ${this.#child.exitCode ?? this.#child.signalCode}`);
    return value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const exited = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin?.end();
    this.#child.kill();
    await exited;
  }
}
