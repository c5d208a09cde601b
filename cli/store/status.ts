import { defineOptions } from '../../runtime/options/index.ts';
import { defineCommand } from '../command.ts';
import { formatJson, formatTree, outputOptions } from '../output/index.ts';
import { addressFrom, openNamed, storeDescription, storeOptions } from './named-store.ts';

/** `isthmus store status` */
export const storeStatus = defineCommand({
  description: `Which store answers, how far it has come, and how much it holds. Exit code 1 when it takes no writes, or\nits server is alarmed.\n${storeDescription}`,
  options: defineOptions({ ...storeOptions, ...outputOptions }),
  examples: ['isthmus store status', 'isthmus store status --store consul:/etc/isthmus/consul.yaml -o json'],
  ends: true,
  run: async (context, { options }) => {
    await using opened = await openNamed(context, addressFrom(options));
    const status = await opened.status({ signal: context.signal });
    if (options.output === 'json') context.stdout(formatJson(status));
    else
      context.stdout(
        formatTree({
          store: status.kind,
          endpoint: status.endpoint,
          id: status.storeId ?? 'unknown',
          version: status.version,
          revision: status.revision ?? 'unknown',
          keys: status.keys ?? `not counted: ${status.notCounted ?? 'unknown'}`,
          size: status.sizeBytes === undefined ? undefined : formatBytes(status.sizeBytes),
          'in use': status.sizeInUseBytes === undefined ? undefined : formatBytes(status.sizeInUseBytes),
          problem: status.problem,
          answered: `within ${status.answerMs} ms`,
        }),
      );
    return status.problem === undefined ? 0 : 1;
  },
});

/** `1.5 MiB` */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${power === 0 ? bytes : (bytes / 1024 ** power).toFixed(1)} ${units[power] ?? ''}`;
}
