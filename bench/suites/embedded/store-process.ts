import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** `isthmus store serve` as anybody would start it. */
export interface StoreProcess extends AsyncDisposable {
  readonly endpoint: string;
  readonly pid: number;
}

/** Keeps its data in `folder`, which stays; a temporary one goes with the process. */
export async function startStore(folder?: string, ...flags: readonly string[]): Promise<StoreProcess> {
  const temporary = folder ?? (await mkdtemp(join(tmpdir(), 'isthmus-bench-')));
  const command = fileURLToPath(new URL('../../../bin/isthmus', import.meta.url));
  const child = spawn(
    command,
    ['store', 'serve', '--data-dir', join(temporary, 'data'), '--listen', '127.0.0.1:0', ...flags],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ISTHMUS_LOG_LEVEL: 'warn' },
    },
  );
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const end = async (): Promise<void> => {
    child.kill('SIGTERM');
    await exited;
    if (folder === undefined) await rm(temporary, { recursive: true, force: true });
  };
  try {
    return { endpoint: `http://${await addressOf(child)}`, pid: child.pid ?? 0, [Symbol.asyncDispose]: end };
  } catch (error) {
    await end();
    throw error;
  }
}

function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      const found = /on (127\.0\.0\.1:\d+),/.exec(said);
      if (found?.[1]) resolve(found[1]);
    });
    child.once('exit', (code) => reject(new Error(`isthmus store serve ended with ${code}`)));
    child.once('error', reject);
  });
}
