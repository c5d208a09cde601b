import { writeSnapshot } from '../../kvstore/index.ts';
import { UsageError, defineOptions } from '../../runtime/options/index.ts';
import { defineCommand } from '../command.ts';
import { formatJson, outputOptions } from '../output/index.ts';
import { addressFrom, openNamed, storeDescription, storeOptions } from './named-store.ts';
import { ProgressLine, count, progressBar } from './progress-line.ts';

/** `isthmus store snapshot FILE` */
export const storeSnapshot = defineCommand({
  description: `Writes all keys, as they are at one revision, and the leases that hold some of them, into FILE, while the store goes on.\nA revision that the store forgets meanwhile is given up for the present one, up to four times, and a note says so.\nThe file is complete or not there; it is gzipped text, one JSON object a line, and only its owner may read it.\n${storeDescription}`,
  options: defineOptions({ ...storeOptions, ...outputOptions }),
  positionals: { usage: 'FILE', min: 1, max: 1 },
  examples: [
    'isthmus store snapshot /backup/east.snapshot',
    'isthmus store restore /backup/east.snapshot --data-dir ./new',
  ],
  ends: true,
  run: async (context, { options, positionals: [file = ''] }) => {
    const { clock, signal } = context;
    if (file === '-')
      throw new UsageError(
        'FILE expects the name of a file: what ends early would look like a whole snapshot in a pipe',
        {
          hint: 'name a file; ./- is one, too',
        },
      );
    await using opened = await openNamed(context, addressFrom(options));
    const { keys: total } = await opened.status({ signal });
    using line = new ProgressLine(context);
    const { store } = opened;
    const { storeId, revision, keys, leases } = await writeSnapshot({
      store,
      leaseTtl: (id) => opened.leaseTtl(id, { signal }),
      file,
      clock,
      signal,
      onAgain: ({ message }) => {
        line.clear();
        context.stderr(`isthmus: ${message}; reading the store again, as it is now\n`);
      },
      onProgress: (written) => line.show(progressBar(written, total, 'keys')),
    });
    line.clear();
    if (options.output === 'json') context.stdout(formatJson({ file, storeId, revision, keys, leases }));
    else context.stdout(`${count(keys)} keys and ${count(leases)} leases of revision ${revision} are in ${file}\n`);
    return 0;
  },
});
