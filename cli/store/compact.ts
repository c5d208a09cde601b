import { CompactedError } from '../../kvstore/index.ts';
import { UsageError, defineOptions } from '../../runtime/options/index.ts';
import { defineCommand } from '../command.ts';
import { formatJson, outputOptions } from '../output/index.ts';
import { addressFrom, openNamed, storeDescription, storeOptions } from './named-store.ts';

/** `isthmus store compact REVISION`, `isthmus store compact --keep N` */
export const storeCompact = defineCommand({
  description: `Forgets the history before REVISION; what is stored now stays. Whoever watches from an older revision has to list again.\nIt settles when the history is gone from the store's pages (etcd: on the member that answers), so that isthmus store\ndefrag finds them free; that may take minutes of a large one.\n${storeDescription}`,
  options: defineOptions({
    keep: { type: 'number', min: 0, placeholder: 'N', help: 'Keep this many revisions, instead of naming one' },
    ...storeOptions,
    ...outputOptions,
  }),
  positionals: { usage: '[REVISION]', min: 0, max: 1 },
  examples: ['isthmus store compact 120000', 'isthmus store compact --keep 10000 --store etcd:/etc/isthmus/etcd.yaml'],
  ends: true,
  run: async (context, { options, positionals: [text] }) => {
    const { keep } = options;
    const { signal } = context;
    if ((text === undefined) === (keep === undefined))
      throw new UsageError('Either REVISION or --keep N is needed', {
        hint: 'isthmus store status tells the revision',
      });
    const wanted = text === undefined ? undefined : readRevision(text);
    await using opened = await openNamed(context, addressFrom(options));
    const target = wanted ?? ((await opened.status({ signal })).revision ?? 0) - (keep ?? 0);
    if (target >= 1)
      try {
        await opened.compact(target, { signal });
      } catch (error) {
        // As much is kept as was asked for: somebody has done it before.
        if (keep === undefined || !(error instanceof CompactedError)) throw error;
      }
    if (options.output === 'json') context.stdout(formatJson(target < 1 ? {} : { compactRevision: target }));
    else
      context.stdout(
        target < 1 ? 'There is no older history to forget\n' : `Forgot what was before revision ${target}\n`,
      );
    return 0;
  },
});

function readRevision(text: string): number {
  const revision = /^\d{1,15}$/.test(text) ? Number(text) : 0;
  if (revision < 1) throw new UsageError(`REVISION expects a whole number, at least 1, not ${JSON.stringify(text)}`);
  return revision;
}
