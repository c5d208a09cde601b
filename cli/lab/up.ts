import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { asTyped } from '../../lab/index.ts';
import { UsageError } from '../../runtime/options/index.ts';
import { type CommandContext, type ExitCode, defineCommand } from '../command.ts';
import { labOptions } from './lab-options.ts';

const main = fileURLToPath(new URL(`../main${import.meta.url.endsWith('.js') ? '.js' : '.ts'}`, import.meta.url));

type Message =
  | { readonly progress: string }
  | { readonly ready: true }
  | { readonly failed: string; readonly usage: boolean };

/** `isthmus lab up`: the lab in the background. */
export const up = defineCommand({
  description: 'Brings the lab up and leaves it running in the background; `isthmus lab down` ends it.',
  options: labOptions,
  examples: ['isthmus lab up --name mine --topology topology.yaml --manifests ./manifests'],
  async run(context, { options }): Promise<ExitCode> {
    const argv = [
      '--disable-warning=ExperimentalWarning',
      main,
      'lab',
      'run',
      '--name',
      options.name,
      '--kernel',
      options.kernel,
      '--tc-mode',
      options.tcMode,
    ];
    argv.push('--log-level', options.logLevel, '--store', options.store);
    if (options.topology !== undefined) argv.push('--topology', options.topology);
    for (const path of options.manifests ?? []) argv.push('--manifests', path);
    await startDetached(argv, context);
    context.stdout(
      `Lab ${options.name} is up. See it with: ${asTyped('lab status', options.name)}; end it with: ${asTyped('lab down', options.name)}\n`,
    );
    return 0;
  },
});

/** Settles when the background process says that the mesh is up. */
function startDetached(argv: readonly string[], context: CommandContext): Promise<void> {
  const child = spawn(process.execPath, argv, { detached: true, stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
  const end = (): void => void child.kill('SIGTERM');
  context.signal.addEventListener('abort', end, { once: true });
  return new Promise<void>((resolve, reject) => {
    child.on('message', (message: Message) => {
      if ('progress' in message) context.stderr(`lab: ${message.progress}\n`);
      else if ('failed' in message) reject(message.usage ? new UsageError(message.failed) : new Error(message.failed));
      else resolve();
    });
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      reject(new Error(`The lab's process ended (${signal ?? code}) before the mesh was up`)),
    );
  }).finally(() => {
    context.signal.removeEventListener('abort', end);
    child.unref();
  });
}
