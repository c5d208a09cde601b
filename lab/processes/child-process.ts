import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Writable } from 'node:stream';
import { type ProcessId, processId, signalProcess } from '../state/index.ts';

export interface ChildOptions {
  /** `east/node-1/agent`. */
  readonly role: string;
  /** Script and arguments for this very Node. */
  readonly argv: readonly string[];
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Wraps the spawn call, so that the child starts in a network namespace. */
  readonly within?: <T>(run: () => T) => T;
  /** Takes standard output; without it, it goes to the log as standard error does. */
  readonly onOutput?: (chunk: Buffer) => void;
}

/** How a child ended. */
export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/**
 * A process of the lab. It ends by itself when its standard input ends, which happens when the lab's own process goes,
 * however that came about.
 */
export class LabProcess {
  readonly role: string;
  readonly id: ProcessId;
  readonly exited: Promise<ChildExit>;
  readonly input: Writable;
  readonly #logFile: string;
  #ended: ChildExit | undefined;

  constructor(child: ChildProcess, options: ChildOptions) {
    if (child.pid === undefined || !child.stdin) throw new Error(`Cannot start ${options.role}: ${options.argv[0]}`);
    this.role = options.role;
    this.id = processId(child.pid);
    this.input = child.stdin;
    this.#logFile = options.logFile;
    this.input.on('error', () => undefined);
    if (options.onOutput) child.stdout?.on('data', options.onOutput);
    this.exited = new Promise((resolve) =>
      child.once('exit', (code, signal) => {
        this.#ended = { code, signal };
        resolve(this.#ended);
      }),
    );
  }

  /** How it ended; undefined while it runs. */
  get ended(): ChildExit | undefined {
    return this.#ended;
  }

  /** Asks it to end, and ends it after `graceMs`. Settles when it is gone. */
  async stop(graceMs = 3000): Promise<ChildExit> {
    if (this.#ended) return this.#ended;
    signalProcess(this.id, 'SIGTERM');
    const timer = setTimeout(() => signalProcess(this.id, 'SIGKILL'), graceMs);
    try {
      return await this.exited;
    } finally {
      clearTimeout(timer);
    }
  }

  kill(): void {
    signalProcess(this.id, 'SIGKILL');
  }

  /** The last lines of its log, for messages about a child that failed. */
  logTail(lines = 8): string {
    try {
      return readFileSync(this.#logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
    } catch {
      return '(no log)';
    }
  }
}

/** Starts a process of the lab; its standard error goes to its log file. */
export function startChild(options: ChildOptions): LabProcess {
  mkdirSync(dirname(options.logFile), { recursive: true, mode: 0o700 });
  const log = openSync(options.logFile, 'a', 0o600);
  const start = (): ChildProcess =>
    spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...options.argv], {
      // A process group of its own: Ctrl-C in the terminal is for the lab, which ends its processes in order.
      detached: true,
      stdio: ['pipe', options.onOutput ? 'pipe' : log, log],
      env: { ...process.env, ISTHMUS_END_WITH_STDIN: '1', ...options.env },
    });
  try {
    return new LabProcess(options.within ? options.within(start) : start(), options);
  } finally {
    closeSync(log);
  }
}
