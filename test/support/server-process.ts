import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ServerProgram {
  /** As errors name it: `etcd`. */
  readonly title: string;
  /** Its own folder is `isthmus-<name>-…` among the temporary ones. */
  readonly name: string;
  readonly binary: string;
  /** Asked at every start. */
  readonly args: () => readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Whether it serves by now. A rejection counts as not yet. */
  readonly isReady: () => Promise<boolean>;
  /** How long it may take to be ready, in milliseconds; a minute unless told. */
  readonly readyMs?: number;
}

/**
 * A server that a test starts, stops, freezes and starts again. It has a folder of its own, which goes with it; neither
 * process nor folder survives the process that runs the tests.
 */
export class ServerProcess implements AsyncDisposable {
  /** Among the temporary folders; whatever the server keeps belongs here. */
  readonly folder: string;
  readonly #program: ServerProgram;
  readonly #atExit = (): void => {
    this.#child?.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  };
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #said = '';

  constructor(program: ServerProgram) {
    this.#program = program;
    this.folder = mkdtempSync(join(tmpdir(), `isthmus-${program.name}-`));
    process.once('exit', this.#atExit);
  }

  /** Undefined while it does not run. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Ends it in an orderly way (SIGTERM). */
  stop(): Promise<void> {
    return this.#end('SIGTERM');
  }

  /** Ends it at once (SIGKILL). */
  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  /** Freezes it: connections stay, nothing is answered. */
  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  /** Starts it, after killing it if need be. @throws with its last words when it ends, or is not ready in time. */
  async restart(): Promise<void> {
    await this.kill();
    const stdio: StdioOptions = ['ignore', 'pipe', 'pipe'];
    const child = spawn(this.#program.binary, this.#program.args(), { stdio, env: this.#program.env ?? process.env });
    this.#child = child;
    this.#said = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (this.#said = (this.#said + text).slice(-8000)));
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
    process.off('exit', this.#atExit);
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child === undefined) return;
    this.#child.kill(signal);
    this.#child.kill('SIGCONT');
    await this.#exited;
  }

  async #ready(): Promise<void> {
    const { title, isReady, readyMs = 60_000 } = this.#program;
    const deadline = performance.now() + readyMs;
    while (!(await isReady().catch(() => false))) {
      if (this.#child === undefined) throw new Error(`${title} ended before it was ready:\n${this.#said}`);
      if (performance.now() > deadline) throw new Error(`${title} was not ready within ${readyMs} ms:\n${this.#said}`);
      await sleep(20);
    }
  }
}

/** What a server of the tests is to those who only start, stop and freeze it. */
export interface Startable extends AsyncDisposable {
  restart(): Promise<void>;
}

/**
 * Makes a server and starts it, again with other ports when one was taken between the look and the start.
 * @param create - chooses the ports
 */
export async function started<S extends Startable>(create: () => Promise<S>): Promise<S> {
  for (let attempt = 1; ; attempt++) {
    const server = await create();
    try {
      await server.restart();
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      const taken = error instanceof Error && error.message.includes('address already in use');
      if (!taken || attempt >= 5) throw error;
    }
  }
}
