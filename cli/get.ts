import { defineOptions, UsageError } from '../runtime/options/index.ts';
import { ApiError, callUnixApi } from '../runtime/serve/index.ts';
import { socketOptions } from './api-socket.ts';
import { defineCommand } from './command.ts';
import { formatRows, outputOptions } from './output/index.ts';
import { type Row, columnsFor, isResource, resources } from './resources.ts';

/** `isthmus get RESOURCE`: what an agent knows of the mesh, winners of its merged view. */
export const get = defineCommand({
  description: `Resources: ${resources.join(', ')}.`,
  options: defineOptions({
    cluster: { type: 'string', placeholder: 'NAME', help: 'Only what comes from this cluster' },
    ...socketOptions,
    ...outputOptions,
  }),
  positionals: { usage: 'RESOURCE', min: 1, max: 1 },
  examples: ['isthmus get nodes', 'isthmus get ips --cluster west -o json'],
  run: async (context, { options, positionals }) => {
    const resource = positionals[0] ?? '';
    if (!isResource(resource))
      throw new UsageError(`There is no resource ${JSON.stringify(resource)}`, {
        hint: `one of ${resources.join(', ')}`,
      });
    const query = options.cluster === undefined ? '' : `?cluster=${encodeURIComponent(options.cluster)}`;
    const rows = await firstAnswer(options.apiSocket, `/v1/${resource}${query}`, context.signal);
    context.stdout(formatRows(options.output, columnsFor(resource), rows));
    return 0;
  },
});

/** Every agent knows the whole mesh: the first one that answers is asked. */
async function firstAnswer(sockets: readonly string[], route: string, signal: AbortSignal): Promise<readonly Row[]> {
  let failure: unknown;
  for (const socket of sockets)
    try {
      const answer = await callUnixApi(socket, { route, signal });
      if (Array.isArray(answer)) return answer as Row[];
      throw new ApiError(502, 'BAD_ANSWER', `${socket} did not answer ${route} with a list`);
    } catch (error) {
      signal.throwIfAborted();
      failure ??= error;
    }
  throw failure ?? new UsageError('There is no socket to ask', { option: '--api-socket' });
}
