import { defineOptions } from '../runtime/options/index.ts';
import { callUnixApi } from '../runtime/serve/index.ts';
import { socketOptions } from './api-socket.ts';
import { defineCommand } from './command.ts';
import { formatJson, outputOptions } from './output/index.ts';
import { formatTree } from './output/tree.ts';

/** `isthmus status`: asks, never guesses. Exit code 1 when a process does not answer or is not ready. */
export const status = defineCommand({
  options: defineOptions({ ...socketOptions, ...outputOptions }),
  examples: ['isthmus status', 'isthmus status --api-socket /run/isthmus/agent.sock -o json'],
  run: async (context, { options }) => {
    const answers: { socket: string; status?: unknown; error?: string }[] = [];
    for (const socket of options.apiSocket)
      try {
        answers.push({ socket, status: await callUnixApi(socket, { route: '/v1/status', signal: context.signal }) });
      } catch (error) {
        context.signal.throwIfAborted();
        answers.push({ socket, error: error instanceof Error ? error.message : String(error) });
      }
    if (options.output === 'json') context.stdout(formatJson(answers));
    else for (const answer of answers) context.stdout(`${formatTree(answer)}\n`);
    return answers.every((answer) => isReady(answer.status)) ? 0 : 1;
  },
});

function isReady(answer: unknown): boolean {
  return typeof answer === 'object' && answer !== null && 'ready' in answer && answer.ready === true;
}
