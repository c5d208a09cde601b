import { defineOptions } from '../runtime/options/index.ts';
import { callUnixApi, hangsAfterMs } from '../runtime/serve/index.ts';
import { defineCommand } from './command.ts';
import { formatJson, outputOptions } from './output/index.ts';
import { type StatusAnswer, statusText } from './status-text.ts';
import { type Target, findTargets, targetOptions } from './targets.ts';

const askAgainMs = 500;

/** `isthmus status`: asks, never guesses. Exit code 1 when a process does not answer or is not ready. */
export const status = defineCommand({
  description:
    'Exit code 1 when a process does not answer, is not ready, cannot reach its own store, or a remote cluster is not ready\n(one that is silent never is). With --wait it asks until all is ready, or the time is over, and prints the last answers.',
  options: defineOptions({
    wait: { type: 'boolean', help: 'Wait until every process and every remote cluster is ready' },
    'wait-duration': { type: 'duration', default: '15m', help: 'How long --wait waits' },
    ...targetOptions,
    ...outputOptions,
  }),
  examples: ['isthmus status', 'isthmus status --name default -o json', 'isthmus status --wait --wait-duration 1m'],
  ends: true,
  run: async (context, { options }) => {
    const { signal, clock } = context;
    const targets = findTargets(options);
    const deadline = clock.monotonicMs() + (options.wait ? options.waitDurationMs : 0);
    let answers = await ask(targets, signal);
    for (;;) {
      const leftMs = deadline - clock.monotonicMs();
      if (leftMs <= 0 || answers.every((answer) => isReady(answer.status))) break;
      await clock.sleep(Math.min(askAgainMs, leftMs), signal);
      answers = await ask(targets, signal);
    }
    context.stdout(options.output === 'json' ? formatJson(answers) : answers.map(statusText).join('\n'));
    return answers.every((answer) => isReady(answer.status)) ? 0 : 1;
  },
});

async function ask(targets: readonly Target[], signal: AbortSignal): Promise<StatusAnswer[]> {
  const answers = await Promise.all(
    targets.map(async ({ role, socket }): Promise<StatusAnswer> => {
      try {
        return {
          role,
          socket,
          status: await callUnixApi(socket, { route: '/v1/status', silenceMs: hangsAfterMs, signal }),
        };
      } catch (error) {
        return { role, socket, error: error instanceof Error ? error.message : String(error) };
      }
    }),
  );
  signal.throwIfAborted();
  return answers;
}

function isReady(answer: unknown): boolean {
  if (typeof answer !== 'object' || answer === null || !('ready' in answer) || answer.ready !== true) return false;
  // Whoever lost its store does not learn of changes, however well it goes on with what it knows.
  if ('store' in answer && !isConnected(answer.store)) return false;
  return !('clusters' in answer) || !Array.isArray(answer.clusters) || answer.clusters.every(isReady);
}

function isConnected(store: unknown): boolean {
  return typeof store === 'object' && store !== null && 'connected' in store && store.connected === true;
}
