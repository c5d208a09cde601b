import { type Difference, compareStores } from '../../kvstore/index.ts';
import { defineOptions } from '../../runtime/options/index.ts';
import { defineCommand } from '../command.ts';
import { formatJson, outputOptions } from '../output/index.ts';
import { ProgressLine, count, progressBar } from './progress-line.ts';
import { jsonBytes, shownBytes } from './shown.ts';
import { openTwo } from './two-stores.ts';

const words = { 'only-in-a': 'only in A ', 'only-in-b': 'only in B ', different: 'different ' } as const;

/** `isthmus store check A B` */
export const storeCheck = defineCommand({
  description:
    'Prints in which keys and values two stores differ; exit code 1 when there is any difference. A and B are named as\n' +
    '--store is elsewhere: http://HOST:PORT, etcd:FILE, consul:FILE, embedded:DIR. Revisions and leases are not compared,\n' +
    'nor the records of copiers. What differs is looked at again for a while, since a change may be on its way.',
  options: defineOptions({
    prefix: { type: 'list', placeholder: 'TEXT', help: 'Only keys that begin with this; may be repeated' },
    settle: { type: 'duration', default: '2s', help: 'How long a difference may take to go away; 0 for not at all' },
    limit: { type: 'number', default: 100, min: 0, help: 'Print at most this many; the sum is always right' },
    ...outputOptions,
  }),
  positionals: { usage: 'A B', min: 2, max: 2 },
  examples: ['isthmus store check http://127.0.0.1:2379 etcd:/etc/isthmus/etcd.yaml --prefix cilium/'],
  ends: true,
  run: async (context, { options, positionals }) => {
    const { clock, signal } = context;
    const prefixes = widest(options.prefix);
    await using stores = await openTwo(context, positionals, { createB: false, prefix: prefixes[0] ?? '' });
    using line = new ProgressLine(context);
    // Of several prefixes, only one is counted beforehand.
    const total = prefixes.length === 1 ? stores.statusOfA.keys : undefined;
    let [keysInA, keysInB] = [0, 0];
    const differences: Difference[] = [];
    for (const prefix of prefixes) {
      const before = keysInA;
      const found = await compareStores({
        a: stores.a.store,
        b: stores.b.store,
        prefix,
        settleMs: options.settleMs,
        clock,
        signal,
        onProgress: (compared) => line.show(progressBar(before + compared, total, 'keys')),
      });
      keysInA += found.keysInA;
      keysInB += found.keysInB;
      differences.push(...found.differences);
    }
    line.clear();
    const shown = differences.slice(0, options.limit);
    if (options.output === 'json')
      context.stdout(
        formatJson({
          keysInA,
          keysInB,
          differences: differences.length,
          list: shown.map(({ key, kind }) => ({ kind, ...jsonBytes('key', key) })),
        }),
      );
    else {
      context.stdout(shown.map(textOf).join(''));
      const more = differences.length - shown.length;
      if (more > 0) context.stdout(`… and ${count(more)} more\n`);
      const sum = `${count(differences.length)} ${differences.length === 1 ? 'difference' : 'differences'}`;
      context.stdout(`${sum}; ${count(keysInA)} keys in A, ${count(keysInB)} in B\n`);
    }
    return differences.length === 0 ? 0 : 1;
  },
});

/** Everything, unless some of it is asked for; each key once. */
export function widest(prefixes: readonly string[]): readonly string[] {
  if (prefixes.length === 0) return [''];
  const sorted = [...new Set(prefixes)].toSorted();
  return sorted.filter((prefix) => !sorted.some((other) => other !== prefix && prefix.startsWith(other)));
}

function textOf({ key, kind }: Difference): string {
  return `${words[kind]} ${shownBytes(key)}\n`;
}
