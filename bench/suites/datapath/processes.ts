import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type NamespaceHandle, runInNamespace } from '../../../kernel/index.ts';

export type ServerMode = 'sink' | 'pong' | 'accept';
export type ClientMode = 'source' | 'ping' | 'connect';

export interface Target {
  readonly address: string;
  readonly port: number;
}

const worker = fileURLToPath(new URL('worker.ts', import.meta.url));
const canPin = spawnSync('taskset', ['-V'], { stdio: 'ignore' }).status === 0;

/** A server that runs until it is disposed of. */
export async function server(
  namespace: NamespaceHandle,
  mode: ServerMode,
  target: Target,
  options: { readonly pinned: boolean },
): Promise<AsyncDisposable> {
  const child = start(namespace, [mode, target.address, String(target.port)], options.pinned);
  await firstLine(child, mode);
  return {
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

/** Runs a client to its end. `pinned` keeps it on the first CPU, with the server, where a round trip does not depend on the scheduler. */
export async function client<T>(
  namespace: NamespaceHandle,
  mode: ClientMode,
  target: Target,
  options: { readonly amount: number; readonly pinned: boolean; readonly cgroup?: string },
): Promise<T> {
  const args = [mode, target.address, String(target.port), String(options.amount)];
  if (options.cgroup !== undefined) args.push(options.cgroup);
  return JSON.parse(await firstLine(start(namespace, args, options.pinned), mode)) as T;
}

function start(namespace: NamespaceHandle, args: readonly string[], pinned: boolean): ChildProcess {
  const command = [process.execPath, '--disable-warning=ExperimentalWarning', worker, ...args];
  const [file = '', ...rest] = pinned && canPin ? ['taskset', '-c', '0', ...command] : command;
  return runInNamespace(namespace, () => spawn(file, rest, { stdio: ['ignore', 'pipe', 'pipe'] }));
}

function firstLine(child: ChildProcess, name: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = '';
    let errors = '';
    child.stderr?.on('data', (data: Buffer) => (errors += data.toString()));
    child.stdout?.on('data', (data: Buffer) => {
      output += data.toString();
      if (output.includes('\n')) resolve(output.slice(0, output.indexOf('\n')));
    });
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${name} ended with ${code}: ${errors.trim()}`)));
  });
}
