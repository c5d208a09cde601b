import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { joinCgroup, openNamespace, runInNamespace } from '../../kernel/index.ts';
import { asTyped } from '../../lab/index.ts';
import { UsageError } from '../../runtime/options/index.ts';
import { type ExitCode, defineCommand } from '../command.ts';
import { liveLab } from './call-lab.ts';
import { nameOption } from './lab-options.ts';

/** `isthmus lab exec POD -- CMD`: a command inside a pod's network namespace and its node's cgroup. */
export const exec = defineCommand({
  description:
    'Runs a command in the network namespace of a pod, in the cgroup of its node; gives back 0 or 1 as the command did.',
  options: nameOption,
  positionals: { usage: '<cluster>/<namespace>/<pod>', min: 1, max: 1 },
  rest: '-- CMD …',
  examples: ['isthmus lab exec east/default/loadgenerator-… -- ip addr'],
  ends: true,
  async run(_, { options, positionals: [path = ''], rest: [command, ...words] }): Promise<ExitCode> {
    const state = liveLab(options.name);
    if (state.kernel !== 'linux')
      throw new UsageError(`Lab ${options.name} runs on an in-memory kernel: its pods have no namespaces`);
    const found = state.pods.filter((pod) => pod.path === path || pod.path.endsWith(`/${path}`));
    const [pod] = found;
    if (!pod || found.length > 1)
      throw new UsageError(`${found.length} pods of lab ${options.name} are called ${JSON.stringify(path)}`, {
        hint: `${asTyped('lab status', options.name)} lists them`,
      });
    if (command === undefined)
      throw new UsageError('No command behind --', {
        hint: `${asTyped(`lab exec ${pod.path}`, options.name)} -- ip addr`,
      });
    if (!existsSync(`/run/netns/${pod.netns}`))
      throw new UsageError(`Pod ${pod.path} is stopped`, {
        hint: `start it again: ${asTyped(`lab start ${pod.path}`, options.name)}`,
      });
    using netns = openNamespace(pod.netns);
    // The child inherits the cgroup; this process ends right after it.
    joinCgroup(pod.cgroup);
    const child = runInNamespace(netns, () => spawn(command, words, { stdio: 'inherit' }));
    handSignalsOn(child);
    const code = await new Promise<number>((resolve, reject) => {
      child.once('error', (error: NodeJS.ErrnoException) => reject(startError(command, pod.path, error)));
      child.once('exit', (exit) => resolve(exit ?? 1));
    });
    return code === 0 ? 0 : 1;
  },
});

/**
 * Ctrl-C in a terminal reaches the command by itself, which may go on, as a shell does, and this process with it. What is sent to
 * this process alone is meant for the command.
 */
function handSignalsOn(child: ChildProcess): void {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.removeAllListeners(name);
    process.on(name, () => (name === 'SIGINT' ? undefined : child.kill(name)));
  }
}

function startError(command: string, pod: string, error: NodeJS.ErrnoException): Error {
  const reasons: Readonly<Record<string, string>> = { ENOENT: 'there is no such command', EACCES: 'permission denied' };
  const reason = reasons[error.code ?? ''] ?? error.message;
  return new Error(`Cannot run ${command} in ${pod}: ${reason}`, { cause: error });
}
