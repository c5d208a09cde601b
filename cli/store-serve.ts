import { defineOptions, formatHostPort } from '../runtime/options/index.ts';
import { defineCommand } from './command.ts';
import { daemonOptions, openDaemon, requireLoopback } from './daemon.ts';
import { engineReadiness, openEngine, serveEngine, whileWritable } from './serve-store.ts';
import { requireDirectoryOrNothing } from './system-error.ts';
import { aborted } from './wait.ts';

/** `isthmus store serve`: the embedded store as a server of its own. */
export const storeServe = defineCommand({
  description:
    'Runs until SIGINT or SIGTERM. Clients of etcd 3.6 (etcdctl, the Go client, isthmus itself) work against it.\nOne process owns a data directory.',
  options: defineOptions({
    'data-dir': {
      type: 'string',
      required: true,
      placeholder: 'DIR',
      help: 'Where the store keeps its data; made when missing',
    },
    listen: { type: 'address', default: '127.0.0.1:2379', help: 'Address to serve on; port 0 is any free one' },
    insecure: { type: 'boolean', help: 'Allow an address beyond loopback although there is no TLS' },
    ...daemonOptions,
  }),
  examples: [
    'isthmus store serve --data-dir /var/lib/isthmus/store',
    'ETCDCTL_API=3 etcdctl --endpoints 127.0.0.1:2379 get --prefix cilium/',
  ],
  run: async (context, { options }) => {
    requireLoopback(options.listen, options.insecure);
    requireDirectoryOrNothing('--data-dir', options.dataDir);
    await using daemon = await openDaemon(context, options, 'store');
    const deps = { clock: context.clock, log: daemon.log, metrics: daemon.metrics };
    await using engine = await openEngine(options.dataDir, deps);
    await using server = await serveEngine(engine, options.listen, deps);
    daemon.reportReadiness(() => engineReadiness(engine));
    context.stdout(`Serving the etcd v3 API on ${formatHostPort(server.address())}, data in ${options.dataDir}\n`);
    await whileWritable(engine, context.signal, aborted);
    return 0;
  },
});
