import type { KeyValue } from '../../kvstore/index.ts';
import { defineOptions } from '../../runtime/options/index.ts';
import { defineCommand } from '../command.ts';
import { outputOptions } from '../output/index.ts';
import { bytesFrom, keyOptions } from './key-argument.ts';
import { addressFrom, openNamed, storeDescription, storeOptions } from './named-store.ts';
import { revisionOption } from './revision-option.ts';
import { jsonEntry, shownBytes } from './shown.ts';

const pageSize = 1000;

/** `isthmus store list [PREFIX]` */
export const storeList = defineCommand({
  description: `Keys in byte order, all of one revision, each with the revision that changed it last and its lease. Without PREFIX: all.\nA JSON array holds one entry a line.\n${storeDescription}`,
  options: defineOptions({
    values: { type: 'boolean', help: 'Print the values, too' },
    limit: { type: 'number', min: 1, placeholder: 'N', help: 'Print at most this many' },
    ...revisionOption,
    ...keyOptions,
    ...storeOptions,
    ...outputOptions,
  }),
  positionals: { usage: '[PREFIX]', min: 0, max: 1 },
  examples: [
    'isthmus store list cilium/state/nodes/v1/',
    'isthmus store list cilium/state/ip/ --values --limit 20 -o json',
  ],
  ends: true,
  run: async (context, { options, positionals: [argument = ''] }) => {
    const prefix = bytesFrom(argument, options);
    const { revision, values, limit = Number.POSITIVE_INFINITY } = options;
    const { signal } = context;
    await using opened = await openNamed(context, addressFrom(options));
    const print =
      options.output === 'json' ? jsonPrinter(context.stdout, values) : tablePrinter(context.stdout, values);
    let left = limit;
    const paging = { signal, pageSize: Math.min(limit, pageSize), ...(revision === undefined ? {} : { revision }) };
    for await (const { entries } of opened.store.list(prefix, paging)) {
      print.entries(entries.slice(0, left));
      left -= entries.length;
      if (left <= 0) break;
    }
    print.end();
    return 0;
  },
});

interface Printer {
  entries(entries: readonly KeyValue[]): void;
  end(): void;
}

function tablePrinter(write: (text: string) => void, values: boolean): Printer {
  // The key comes last, since nothing else has a length that is known before the end.
  let header = `${'REVISION'.padStart(12)}  ${'LEASE'.padStart(16)}  KEY${values ? '  VALUE' : ''}\n`;
  return {
    entries: (entries) => {
      const lines = entries.map(({ key, value, modRevision, lease }) => {
        const shownLease = lease === 0n ? '-' : lease.toString(16);
        const columns = `${String(modRevision).padStart(12)}  ${shownLease.padStart(16)}  ${shownBytes(key)}`;
        return `${columns}${values ? `  ${shownBytes(value)}` : ''}\n`;
      });
      write(header + lines.join(''));
      header = '';
    },
    end: () => undefined,
  };
}

function jsonPrinter(write: (text: string) => void, values: boolean): Printer {
  let separator = '[\n';
  return {
    entries: (entries) => {
      for (const entry of entries) {
        write(`${separator}${JSON.stringify(jsonEntry(entry, values))}`);
        separator = ',\n';
      }
    },
    end: () => write(separator === '[\n' ? '[]\n' : '\n]\n'),
  };
}
