import { UsageError, defineOptions, formatHostPort } from '../runtime/options/index.ts';
import { defineCommand } from './command.ts';
import { daemonOptions, openDaemon } from './daemon.ts';
import { engineOptions, engineSettings } from './engine-options.ts';
import { serveSecurity, serveSecurityOptions } from './serve-security.ts';
import { engineReadiness, openEngine, serveEngine, whileWritable } from './serve-store.ts';
import { requireDirectoryOrNothing } from './system-error.ts';
import { aborted } from './wait.ts';

/** `isthmus store serve`: the embedded store as a server of its own. */
export const storeServe = defineCommand({
  description:
    'Runs until SIGINT or SIGTERM. Clients of etcd 3.6 (etcdctl, the Go client, isthmus itself) work against it.\nOne process owns a data directory. Users and their certificates: docs/operations.md.',
  options: defineOptions({
    'data-dir': {
      type: 'string',
      required: true,
      placeholder: 'DIR',
      help: 'Where the store keeps its data; made when missing',
    },
    listen: { type: 'address', default: '127.0.0.1:2379', help: 'Address to serve on; port 0 is any free one' },
    'cluster-name': {
      type: 'string',
      placeholder: 'NAME',
      help: 'The cluster whose store it is: its agents and peers are users then (with --trusted-ca-file)',
    },
    ...engineOptions,
    ...serveSecurityOptions,
    ...daemonOptions,
  }),
  examples: [
    'isthmus store serve --data-dir /var/lib/isthmus/store',
    'isthmus store serve --data-dir /var/lib/isthmus/store --listen 0.0.0.0:2379 --cert-file server.crt --key-file server.key --trusted-ca-file ca.crt --users-file users.yaml',
    'ETCDCTL_API=3 etcdctl --endpoints 127.0.0.1:2379 get --prefix cilium/',
  ],
  run: async (context, { options }) => {
    const security = serveSecurity(options.listen, options);
    if (options.clusterName !== undefined && security.kind !== 'users')
      throw new UsageError(
        '--cluster-name needs users, whom certificates name: without them everybody may do everything',
        {
          option: '--cluster-name',
          hint: 'give --cert-file, --key-file and --trusted-ca-file, or leave it out',
        },
      );
    const settings = engineSettings(options);
    requireDirectoryOrNothing('--data-dir', options.dataDir);
    await using daemon = await openDaemon(context, options, 'store');
    const deps = { clock: context.clock, log: daemon.log, metrics: daemon.metrics };
    await using engine = await openEngine(options.dataDir, settings, deps);
    await using server = await serveEngine(
      engine,
      { listen: options.listen, security, clusterName: options.clusterName },
      deps,
    );
    daemon.reportReadiness(() => engineReadiness(engine));
    context.stdout(`Serving the etcd v3 API on ${formatHostPort(server.address())}, data in ${options.dataDir}\n`);
    await whileWritable(engine, context.signal, aborted);
    return 0;
  },
});
