import { RestoreDirectoryError, restoreSnapshot } from '../../kvstore/index.ts';
import { createLogger } from '../../runtime/log/index.ts';
import { UsageError, defineOptions } from '../../runtime/options/index.ts';
import { defineCommand } from '../command.ts';
import { formatJson, outputOptions } from '../output/index.ts';
import { leaseSeconds } from './lease-seconds.ts';
import { ProgressLine, count } from './progress-line.ts';

/** `isthmus store restore FILE --data-dir DIR` */
export const storeRestore = defineCommand({
  description:
    'Makes an embedded store of a snapshot, whatever kind of store that was taken of. It is a new store with an id of its\n' +
    'own, at a revision above any that the old one can have handed out: whoever followed the old one lists again. Leases\n' +
    'begin anew with their full time, locks stay behind. To bring a snapshot into etcd or Consul, restore it and copy it there.',
  options: defineOptions({
    'data-dir': { type: 'string', required: true, placeholder: 'DIR', help: 'An empty directory, made when missing' },
    'lease-ttl': {
      type: 'duration',
      default: '15m',
      help: 'Time of leases of which the snapshot does not know it, as those of Consul',
    },
    ...outputOptions,
  }),
  positionals: { usage: 'FILE', min: 1, max: 1 },
  examples: ['isthmus store restore /backup/east.snapshot --data-dir /var/lib/isthmus/store'],
  ends: true,
  run: async (context, { options, positionals: [file = ''] }) => {
    const { clock, signal } = context;
    const { dataDir: directory } = options;
    const leaseTtlSeconds = leaseSeconds(options.leaseTtlMs);
    const log = createLogger({ level: 'warn', format: 'text', clock, write: context.stderr }, { component: 'store' });
    using line = new ProgressLine(context);
    const restored = await restoreSnapshot({
      file,
      directory,
      leaseTtlSeconds,
      clock,
      log,
      signal,
      onProgress: (keys) => line.show(`${count(keys)} keys restored`),
    }).catch((error: unknown) => {
      if (!(error instanceof RestoreDirectoryError)) throw error;
      throw new UsageError(error.message, { option: '--data-dir', hint: error.hint, cause: error });
    });
    line.clear();
    const { storeId, revision, keys, leases, from } = restored;
    if (options.output === 'json') context.stdout(formatJson({ directory, storeId, revision, keys, leases, from }));
    else {
      const what = `${count(keys)} keys and ${count(leases)} leases, taken ${from.taken} at revision ${from.revision}`;
      context.stdout(`${what}, are in ${directory}: store ${storeId} at revision ${revision}\n`);
    }
    return 0;
  },
});
