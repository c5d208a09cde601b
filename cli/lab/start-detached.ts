import { spawn } from 'node:child_process';
import type { CommandContext, ExitCode } from '../command.ts';

type Message = { readonly progress: string } | { readonly ready: true };

/** Of what the background process said before it ended, this much is shown. */
const shownBytes = 16_384;

/**
 * Starts Node on `argv` in the background. Settles with 0 once that process says that the mesh is up, or with its own exit
 * code after showing what it said on standard error. @throws {Error} when it ended without a word, or by a signal.
 */
export function startDetached(
  argv: readonly string[],
  context: Pick<CommandContext, 'signal' | 'stderr'>,
): Promise<ExitCode> {
  const child = spawn(process.execPath, argv, { detached: true, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  const end = (): void => void child.kill('SIGTERM');
  context.signal.addEventListener('abort', end, { once: true });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-shownBytes)));
  return new Promise<ExitCode>((resolve, reject) => {
    child.on('message', (message: Message) => {
      if ('progress' in message) context.stderr(`lab: ${message.progress}\n`);
      else resolve(0);
    });
    child.once('error', reject);
    // Not at `exit`: its last words may still be in the pipe then.
    child.once('close', (code, signal) => {
      context.stderr(said);
      if (said !== '' && (code === 1 || code === 2)) resolve(code);
      else if (context.signal.aborted) reject(new Error('The lab was stopped before the mesh was up'));
      else reject(new Error(`The lab's process ended (${signal ?? code}) before the mesh was up`));
    });
  }).finally(() => {
    context.signal.removeEventListener('abort', end);
    child.stderr?.destroy();
    child.unref();
  });
}
