import { defineOptions } from '../runtime/options/index.ts';
import { callUnixApi } from '../runtime/serve/index.ts';
import { defineCommand } from './command.ts';
import { formatJson, outputOptions } from './output/index.ts';
import { type StatusAnswer, statusText } from './status-text.ts';
import { findTargets, targetOptions } from './targets.ts';

/** `isthmus status`: asks, never guesses. Exit code 1 when a process does not answer or is not ready. */
export const status = defineCommand({
  description:
    'Exit code 1 when a process does not answer, is not ready, cannot reach its own store, or a remote cluster is not ready.',
  options: defineOptions({ ...targetOptions, ...outputOptions }),
  examples: ['isthmus status', 'isthmus status --name default -o json'],
  run: async (context, { options }) => {
    const { signal } = context;
    const answers = await Promise.all(
      findTargets(options).map(async ({ role, socket }): Promise<StatusAnswer> => {
        try {
          return { role, socket, status: await callUnixApi(socket, { route: '/v1/status', signal }) };
        } catch (error) {
          return { role, socket, error: error instanceof Error ? error.message : String(error) };
        }
      }),
    );
    signal.throwIfAborted();
    context.stdout(options.output === 'json' ? formatJson(answers) : answers.map(statusText).join('\n'));
    return answers.every((answer) => isReady(answer.status)) ? 0 : 1;
  },
});

function isReady(answer: unknown): boolean {
  if (typeof answer !== 'object' || answer === null || !('ready' in answer) || answer.ready !== true) return false;
  // Whoever lost its store does not learn of changes, however well it goes on with what it knows.
  if ('store' in answer && !isConnected(answer.store)) return false;
  return !('clusters' in answer) || !Array.isArray(answer.clusters) || answer.clusters.every(isReady);
}

function isConnected(store: unknown): boolean {
  return typeof store === 'object' && store !== null && 'connected' in store && store.connected === true;
}
