import { UsageError, defineOptions } from '../../runtime/options/index.ts';
import { defineCommand } from '../command.ts';
import { formatJson, outputOptions, shownLines } from '../output/index.ts';
import { bytesFrom, keyOptions } from './key-argument.ts';
import { addressFrom, openNamed, storeDescription, storeOptions } from './named-store.ts';
import { revisionOption } from './revision-option.ts';
import { jsonEntry, shownBytes, textOf } from './shown.ts';

/** `isthmus store get KEY` */
export const storeGet = defineCommand({
  description: `Prints the value, on a terminal with \\xNN for control characters. Without such a key the exit code is 1.\n${storeDescription}`,
  options: defineOptions({ ...revisionOption, ...keyOptions, ...storeOptions, ...outputOptions }),
  positionals: { usage: 'KEY', min: 1, max: 1 },
  examples: [
    'isthmus store get cilium/cluster-config/east',
    'isthmus store get cilium/.heartbeat --store etcd:/etc/isthmus/etcd.yaml -o json',
  ],
  ends: true,
  run: async (context, { options, positionals: [argument = ''] }) => {
    const { revision, output } = options;
    const { signal } = context;
    const key = bytesFrom(argument, options);
    if (key.length === 0)
      throw new UsageError('KEY is empty, which no key is', { hint: 'isthmus store list shows all keys' });
    await using opened = await openNamed(context, addressFrom(options));
    const entry = await opened.store.get(key, { signal, ...(revision === undefined ? {} : { revision }) });
    if (!entry) {
      context.stderr(`isthmus: There is no key "${shownBytes(key)}"\n`);
      return 1;
    }
    if (output === 'json') context.stdout(formatJson(jsonEntry(entry, true)));
    else {
      const text = textOf(entry.value);
      if (text === undefined) context.stderr('isthmus: The value is no text; it follows in base64\n');
      const printed = text ?? Buffer.from(entry.value).toString('base64');
      context.stdout(`${context.terminal ? shownLines(printed) : printed}\n`);
    }
    return 0;
  },
});
