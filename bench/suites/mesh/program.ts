import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../../runtime/clock/index.ts';

const isthmus = fileURLToPath(new URL('../../../bin/isthmus', import.meta.url));
const pollMs = 50;

/** One process of ours, with metrics and health on a port of loopback. */
export class Program implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #metrics: string;
  readonly #name: string;
  readonly #exited: Promise<void>;
  #said = '';

  /** @param port free in this network namespace: nobody else is in it */
  constructor(port: number, command: string, ...args: readonly string[]) {
    this.#name = command;
    this.#metrics = `127.0.0.1:${port}`;
    const all = [...command.split(' '), ...args, '--metrics-address', this.#metrics];
    this.#child = spawn(isthmus, all, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ISTHMUS_LOG_LEVEL: 'error' },
    });
    // Whatever ends the scene ends its processes.
    process.once('exit', () => this.#child.kill('SIGTERM'));
    process.once('SIGTERM', () => this.#child.kill('SIGTERM'));
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
    this.#exited = new Promise((resolve) => this.#child.once('exit', () => resolve()));
  }

  /** What it says on standard output, once it has said so. */
  async said(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.#said);
      if (found) return found;
      await this.#pause();
    }
  }

  /** Until `/readyz` answers 200. */
  async ready(): Promise<void> {
    while (!(await this.#answers('/readyz'))) await this.#pause();
  }

  /** The sum of a metric over all its labels, as of now. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`http://${this.#metrics}/metrics`)).text();
    const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  async megabytes(): Promise<number> {
    const status = await readFile(`/proc/${this.#child.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
  }

  async cpuSeconds(): Promise<number> {
    return await this.metric('process_cpu_seconds_total');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.#exited;
  }

  async #pause(): Promise<void> {
    if (this.#child.exitCode !== null) throw new Error(`isthmus ${this.#name} ended with ${this.#child.exitCode}`);
    await systemClock.sleep(pollMs);
  }

  async #answers(path: string): Promise<boolean> {
    try {
      const answer = await fetch(`http://${this.#metrics}${path}`);
      await answer.arrayBuffer();
      return answer.status === 200;
    } catch {
      return false;
    }
  }
}
