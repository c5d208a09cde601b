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

/** A process that says lines, and answers one line for each line. */
export class Worker implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  /** Runs a file of this folder. */
  constructor(file: string, ...args: readonly string[]) {
    const child = file.endsWith('.ts')
      ? start(process.execPath, ['--expose-gc', fileURLToPath(new URL(file, import.meta.url)), ...args])
      : start(file, args);
    if (!child.stdout) throw new Error(`${file} has no output`);
    this.#child = child;
    this.#lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  }

  /** Runs any program. */
  static program(path: string, ...args: readonly string[]): Worker {
    return new Worker(path, ...args);
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

function start(program: string, args: readonly string[]): ChildProcess {
  return spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
}

/** @throws {Error} unless that many entries were read. */
export function readingOf(line: string, count: number): Reading {
  const reading = JSON.parse(line) as Reading;
  if (reading.count < count) throw new Error(`A reader has ${reading.count} entries, not ${count}`);
  return reading;
}

/** @throws {Error} unless that many entries are held. */
export function heldOf(line: string, count: number): Held {
  const held = JSON.parse(line) as Held;
  if (held.count !== count) throw new Error(`A reader holds ${held.count} entries, not ${count}`);
  return held;
}
