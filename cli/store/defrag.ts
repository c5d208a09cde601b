import { defineOptions } from '../../runtime/options/index.ts';
import { defineCommand } from '../command.ts';
import { formatJson, outputOptions } from '../output/index.ts';
import { addressFrom, openNamed, storeDescription, storeOptions } from './named-store.ts';
import { formatBytes } from './status.ts';

/** `isthmus store defrag` */
export const storeDefrag = defineCommand({
  description: `Gives free pages of one etcd member back to its disk; it answers nothing else meanwhile. Run\nisthmus store compact first: history that is kept is no free page. An embedded store uses its free\npages again and needs this rarely: a snapshot of it that is restored elsewhere is as small as can be.\n${storeDescription}`,
  options: defineOptions({ ...storeOptions, ...outputOptions }),
  examples: ['isthmus store defrag --store etcd:/etc/isthmus/etcd.yaml'],
  ends: true,
  run: async (context, { options }) => {
    const { signal } = context;
    await using opened = await openNamed(context, addressFrom(options));
    const before = await opened.status({ signal });
    await opened.defragment({ signal });
    const after = await opened.status({ signal });
    const [from, to] = [before.sizeBytes ?? 0, after.sizeBytes ?? 0];
    if (options.output === 'json') context.stdout(formatJson({ sizeBytesBefore: from, sizeBytes: to }));
    else context.stdout(`From ${formatBytes(from)} to ${formatBytes(to)}\n`);
    return 0;
  },
});
