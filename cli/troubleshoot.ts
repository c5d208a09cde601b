import { type Diagnosis, type PeerConfig, scanDirectory, troubleshoot as walk } from '../clustermesh/index.ts';
import { UsageError, closest, defineOptions } from '../runtime/options/index.ts';
import { defineCommand } from './command.ts';
import { formatJson, outputOptions } from './output/index.ts';
import { requireDirectoryOrNothing } from './system-error.ts';
import { diagnosisText } from './troubleshoot-text.ts';

/** `isthmus troubleshoot`: goes the way to remote clusters itself, from where it is run. */
export const troubleshoot = defineCommand({
  description:
    'Walks configuration → resolve → TCP → TLS → auth → store version → cluster config → canaries → heartbeat, and stops at\nthe first layer that is broken, with its cause and one command that leads on. It asks no agent: run it where the\nagent runs, in its network namespace. Exit code 1 when a layer of any cluster is broken.',
  options: defineOptions({
    'clustermesh-config': {
      type: 'string',
      placeholder: 'DIR',
      default: '/var/lib/cilium/clustermesh',
      help: 'One etcd client configuration for each remote cluster, the file named after the cluster',
    },
    timeout: { type: 'duration', default: '5s', help: 'For each cluster, all layers together' },
    'cluster-name': { type: 'string', placeholder: 'NAME', help: 'Own cluster: its file is passed over' },
    'cluster-id': { type: 'number', min: 1, max: 511, help: 'Id of the own cluster, to find a conflict with it' },
    'max-connected-clusters': {
      type: 'choice',
      choices: ['255', '511'],
      help: 'Clusters the mesh may have; what the remote says unless given',
    },
    ...outputOptions,
  }),
  positionals: { usage: '[PEER…]', min: 0, max: 511 },
  examples: ['isthmus troubleshoot', 'isthmus troubleshoot west --clustermesh-config /etc/isthmus/peers -o json'],
  ends: true,
  run: async (context, { options, positionals }) => {
    const { clock, signal } = context;
    const { clustermeshConfig: directory, clusterName, clusterId, maxConnectedClusters, timeoutMs } = options;
    requireDirectoryOrNothing('--clustermesh-config', directory);
    const { configs, broken, misnamed } = await scanDirectory(directory);
    const own =
      clusterId === undefined
        ? {}
        : {
            own: {
              clusterId,
              ...(maxConnectedClusters === undefined
                ? {}
                : { maxConnectedClusters: maxConnectedClusters === '511' ? (511 as const) : (255 as const) }),
            },
          };
    const wanted = positionals.filter((name) => !broken.has(name));
    const none = positionals.length > 0 && wanted.length === 0;
    const chosen = (none ? [] : choose(configs, wanted, directory)).filter(({ cluster }) => cluster !== clusterName);
    const diagnoses: Diagnosis[] = [];
    for (const config of chosen) diagnoses.push(await walk(config, { timeoutMs, ...own }, { clock }, signal));
    for (const name of misnamed)
      context.stderr(`isthmus: ${directory}/${name} is a configuration under no cluster name: nobody follows it\n`);
    const unread = [...broken].filter(([name]) => positionals.length === 0 || positionals.includes(name));
    for (const [name, problem] of unread)
      context.stderr(
        `isthmus: ${directory}/${name} ${problem}: whoever follows ${name} goes on with what stood there\n`,
      );
    if (options.output === 'json') context.stdout(formatJson(diagnoses));
    else {
      if (chosen.length === 0 && unread.length === 0) context.stdout(`No cluster is configured in ${directory}\n`);
      context.stdout(diagnoses.map(diagnosisText).join('\n'));
    }
    // Whoever is asked for by name has a good one.
    const overlooked = positionals.length === 0 && misnamed.length > 0;
    return diagnoses.every(({ ok }) => ok) && !overlooked && unread.length === 0 ? 0 : 1;
  },
});

/** @throws {UsageError} for a name that has no configuration */
function choose(
  configs: ReadonlyMap<string, PeerConfig>,
  names: readonly string[],
  directory: string,
): readonly PeerConfig[] {
  if (names.length === 0) return [...configs.values()];
  return [...new Set(names)].map((name) => {
    const config = configs.get(name);
    if (config) return config;
    const near = closest(name, [...configs.keys()]);
    throw new UsageError(`There is no configuration for ${JSON.stringify(name)} in ${directory}`, {
      option: '--clustermesh-config',
      hint:
        configs.size === 0
          ? 'the directory holds no configuration of a cluster'
          : `${near ? `did you mean ${near}? ` : ''}there: ${[...configs.keys()].join(', ')}`,
    });
  });
}
