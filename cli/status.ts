import { defineOptions } from '../runtime/options/index.ts';
import { callUnixApi, hangsAfterMs } from '../runtime/serve/index.ts';
import { type CommandContext, defineCommand } from './command.ts';
import { formatJson, outputOptions } from './output/index.ts';
import { type StatusAnswer, statusText } from './status-text.ts';
import { NobodyToAskError, type Target, findTargets, targetOptions } from './targets.ts';

const askAgainMs = 500;

/** `isthmus status`: asks, never guesses. Exit code 1 when a process does not answer or is not ready. */
export const status = defineCommand({
  description:
    'Exit code 1 when a process does not answer, is not ready, cannot reach its own store or is refused by it, cannot\nread its source, or a remote cluster is not ready (one that is silent never is). With --wait it asks until all is ready, or the time is over, and prints the last answers.',
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
    const deadline = clock.monotonicMs() + (options.wait ? options.waitDurationMs : 0);
    const targets = options.wait ? await awaitTargets(options, context, deadline) : findTargets(options);
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

/** Who was started a moment ago has no socket yet. */
async function awaitTargets(
  options: Parameters<typeof findTargets>[0],
  { clock, signal }: Pick<CommandContext, 'clock' | 'signal'>,
  deadline: number,
): Promise<Target[]> {
  for (;;)
    try {
      return findTargets(options);
    } catch (error) {
      if (!(error instanceof NobodyToAskError)) throw error;
      const leftMs = deadline - clock.monotonicMs();
      // Not wrong use, but what was waited for did not come: exit code 1.
      if (leftMs <= 0) throw new Error(error.message, { cause: error });
      await clock.sleep(Math.min(askAgainMs, leftMs), signal);
    }
}

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
  if (typeof answer !== 'object' || answer === null || !('ready' in answer)) return false;
  const waits = 'election' in answer && isWaiting(answer.election);
  if (answer.ready !== true && !waits) return false;
  // Whoever lost its store does not learn of changes, however well it goes on with what it knows.
  if ('store' in answer && !isConnected(answer.store)) return false;
  // Nor does whoever cannot read its source.
  if ('unread' in answer && !waits && isFilled(answer.unread)) return false;
  // What is published, or copied, is from before, however complete it is.
  if ('unwritten' in answer && !waits) return false;
  // What the store refuses of a node's registration nobody else knows.
  if ('registration' in answer && hasRefused(answer.registration)) return false;
  return !('clusters' in answer) || !Array.isArray(answer.clusters) || answer.clusters.every(isReady);
}

/** Another replica publishes: nothing is wrong with one that waits for its turn, as long as it can ask for it. */
function isWaiting(election: unknown): boolean {
  if (typeof election !== 'object' || election === null || !('leading' in election) || 'error' in election)
    return false;
  // Who has lost the office, and cannot ask for it again, still names himself.
  return election.leading === false && 'leader' in election && election.leader !== memberOf(election, 'identity');
}

function memberOf(value: object, name: string): unknown {
  return (value as Readonly<Record<string, unknown>>)[name];
}

function isConnected(store: unknown): boolean {
  return typeof store === 'object' && store !== null && 'connected' in store && store.connected === true;
}

function hasRefused(registration: unknown): boolean {
  if (typeof registration !== 'object' || registration === null || !('refused' in registration)) return false;
  return isFilled(registration.refused) || 'unwritten' in registration;
}

function isFilled(list: unknown): boolean {
  return Array.isArray(list) && list.length > 0;
}
