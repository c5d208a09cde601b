import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MockMesh, mockClusterName } from '../../clustermesh/index.ts';
import { makeDirectory } from '../../runtime/files/index.ts';
import { UsageError, defineOptions } from '../../runtime/options/index.ts';
import { isAbort } from '../../runtime/tasks/index.ts';
import { defineCommand } from '../command.ts';
import { daemonOptions, isLoopback, openDaemon } from '../daemon.ts';
import { ProgressLine, count, progressBar } from '../store/progress-line.ts';
import { mockFaultsOf, mockOptions, mockShapeOf } from './options.ts';
import { type MockStores, namedStores, servedStores } from './stores.ts';

/** `isthmus mock`: clusters that exist in a store only, for tests of whatever reads them. */
export const mock = defineCommand({
  description:
    'Fills a store with clusters that do not exist, in the form that Cilium writes, and changes them at a steady rate until\nCtrl-C. Defaults are the load of Cilium’s own scale test: 250 clusters, some 300,000 keys, 325 changes a second.\n\nIn layout cache all clusters are in one store, as a kvstoremesh keeps them; in layout state each is in a store of its own,\non ports that follow one another. Without --store the stores are in memory and served over the etcd v3 API.',
  options: defineOptions({
    ...mockOptions,
    layout: { type: 'choice', choices: ['cache', 'state'], default: 'cache', help: 'Which keys are written' },
    'max-connected-clusters': { type: 'choice', choices: ['255', '511'], default: '255', help: 'As in the mesh' },
    store: {
      type: 'string',
      placeholder: 'STORE',
      help: 'Write into this store: http://HOST:PORT, etcd:FILE or consul:FILE; its records are replaced',
    },
    listen: { type: 'address', default: '127.0.0.1:0', help: 'Without --store: address to serve on, of loopback' },
    'config-dir': {
      type: 'string',
      placeholder: 'DIR',
      help: 'Write a configuration file for each cluster here, for --clustermesh-config of an agent or kvstoremesh',
    },
    'kvstore-lease-ttl': { type: 'duration', default: '15m', help: 'Records go this long after the end' },
    ...daemonOptions,
  }),
  examples: [
    'isthmus mock --config-dir /tmp/peers',
    'isthmus mock --clusters 3 --layout state --listen 127.0.0.1:23790 --config-dir /tmp/peers --faults lease,garbage',
  ],
  run: async (context, { options }) => {
    const { clock, signal } = context;
    const faults = mockFaultsOf(options.faults);
    const max = options.maxConnectedClusters === '511' ? 511 : 255;
    const { layout, store: named, listen } = options;
    if (named !== undefined && layout === 'state' && options.clusters > 1)
      throw new UsageError('--store holds one cluster in layout state', {
        option: '--store',
        hint: 'give --clusters 1',
      });
    if (named === undefined && !isLoopback(listen.host))
      throw new UsageError('--listen takes an address of loopback: a mock asks nobody who they are', {
        option: '--listen',
      });
    await using daemon = await openDaemon(context, options, 'mock');
    const deps = { clock, log: daemon.log, metrics: daemon.metrics };
    const names = Array.from({ length: options.clusters }, (_, i) => mockClusterName(options.firstClusterId + i));
    await using stores =
      named === undefined
        ? await servedStores(names, { listen, oneEach: layout === 'state' }, deps)
        : await namedStores(context, named);
    using line = new ProgressLine(context);
    const mesh = meshOf(
      {
        shape: mockShapeOf(options),
        layout,
        maxConnectedClusters: max,
        firstClusterId: options.firstClusterId,
        seed: options.seed,
        faults,
        faultEveryMs: options.faultIntervalMs,
        leaseTtlSeconds: Math.ceil(options.kvstoreLeaseTtlMs / 1000),
      },
      { storeOf: (cluster) => stores.storeOf(cluster), clock, log: daemon.log, onProgress: showOn(line) },
    );
    try {
      await mesh.fill(signal);
      line.clear();
      if (options.configDir !== undefined) await writeConfigs(options.configDir, mesh.names, stores);
      daemon.reportReadiness(() => ({ ready: true }));
      context.stdout(`${count(mesh.counts.keys)} keys of ${mesh.names.length} clusters at ${stores.description}\n`);
      await mesh.run(signal);
    } catch (error) {
      if (!isAbort(error, signal)) throw error;
    }
    const { changes, faults: disturbed } = mesh.counts;
    context.stdout(`${count(changes)} changes, ${count(disturbed)} faults\n`);
    return 0;
  },
});

function meshOf(...parts: ConstructorParameters<typeof MockMesh>): MockMesh {
  try {
    return new MockMesh(...parts);
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message);
    throw error;
  }
}

function showOn(line: ProgressLine): (written: number, total: number) => void {
  return (written, total) => line.show(progressBar(written, total, 'keys'));
}

async function writeConfigs(directory: string, names: readonly string[], stores: MockStores): Promise<void> {
  makeDirectory(directory);
  for (const name of names) {
    const endpoint = stores.endpointOf(name);
    if (endpoint === undefined)
      throw new UsageError('--config-dir needs a store that is named by its URL', { option: '--config-dir' });
    // Whoever watches the directory sees a file whole or not at all.
    const draft = join(directory, `.${name}.new`);
    await writeFile(draft, `endpoints:\n- ${endpoint}\n`);
    await rename(draft, join(directory, name));
  }
}
