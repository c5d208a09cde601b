import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EtcdProcess, freePort } from './etcd.ts';

const isthmus = new URL('../../bin/isthmus', import.meta.url).pathname;
const readyMs = 120_000;

/** `isthmus store serve` on loopback, for those who take an etcd. Disposing of it removes its data. */
export async function startStoreServe(flags: readonly string[] = []): Promise<EtcdProcess> {
  const server = new StoreServe(await freePort(), flags);
  try {
    await server.restart();
    return server;
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

class StoreServe implements EtcdProcess {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly #folder = mkdtempSync(join(tmpdir(), 'isthmus-store-serve-'));
  readonly #flags: readonly string[];
  readonly #atExit = (): void => {
    this.#child?.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  };
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #said = '';

  constructor(port: number, flags: readonly string[]) {
    this.port = port;
    this.#flags = flags;
  }

  get endpoint(): string {
    return `http://${this.host}:${this.port}`;
  }

  get securePort(): number {
    return this.port;
  }

  get dataDir(): string {
    return join(this.#folder, 'data');
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  stop(): Promise<void> {
    return this.#end('SIGTERM');
  }

  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  async restart(): Promise<void> {
    await this.kill();
    process.once('exit', this.#atExit);
    const listen = `${this.host}:${this.port}`;
    const child = spawn(isthmus, ['store', 'serve', '--data-dir', this.dataDir, '--listen', listen, ...this.#flags], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child = child;
    this.#said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#said = (this.#said + text).slice(-8000)));
    this.#exited = new Promise<void>((resolve) => {
      child.once('error', () => resolve());
      child.once('close', () => resolve());
    }).then(() => {
      if (this.#child === child) this.#child = undefined;
    });
    await this.#ready();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child === undefined) return;
    this.#child.kill(signal);
    await this.#exited;
    process.off('exit', this.#atExit);
  }

  async #ready(): Promise<void> {
    const deadline = performance.now() + readyMs;
    for (;;) {
      const answer = await fetch(`${this.endpoint}/readyz`).catch(() => undefined);
      if (answer?.status === 200) return;
      if (this.#child === undefined) throw new Error(`The store ended before it was ready:\n${this.#said}`);
      if (performance.now() > deadline) throw new Error(`The store was not ready within 120 s:\n${this.#said}`);
      await sleep(20);
    }
  }
}
