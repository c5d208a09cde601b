import { fileURLToPath } from 'node:url';
import { type OptionValues, UsageError, defineOptions } from '../../runtime/options/index.ts';
import {
  LabIsLiveError,
  LabNameError,
  ManifestsError,
  type RunLabOptions,
  StoreBinaryError,
  TopologyError,
  ForeignDirectoryError,
  ForeignNamespaceError,
  PlacementError,
  SocketPathError,
  labStoreKinds,
} from '../../lab/index.ts';
import { createLogger } from '../../runtime/log/index.ts';
import { MissingFeatureError } from '../../kernel/index.ts';
import type { CommandContext } from '../command.ts';
import { requireThere } from '../system-error.ts';

const shop = fileURLToPath(new URL('../../examples/online-boutique/', import.meta.url));

/** Every lab command takes the lab's name. */
export const nameOption = defineOptions({
  name: {
    type: 'string',
    default: 'default',
    placeholder: 'LAB',
    help: 'Name of the lab; labs of different names run side by side',
  },
});

/** What a lab is made of; `lab run` and `lab up` take it. */
export const labOptions = defineOptions({
  ...nameOption,
  topology: {
    type: 'string',
    placeholder: 'FILE',
    help: 'Which workloads run in which cluster; without it, the shop has its own and other manifests are spread over two clusters',
  },
  manifests: {
    type: 'list',
    placeholder: 'PATH',
    help: 'Folders or files of Kubernetes manifests; the Online Boutique unless told',
  },
  kernel: {
    type: 'choice',
    choices: ['linux', 'memory'],
    default: 'linux',
    help: 'What the agents drive; memory needs no root and sends no packet',
  },
  'tc-mode': {
    type: 'choice',
    choices: ['auto', 'tcx', 'clsact'],
    default: 'auto',
    help: 'How tc programs are attached',
  },
  store: {
    type: 'choice',
    choices: labStoreKinds,
    default: 'embedded',
    help: 'Where clusters keep their records; etcd and consul are started beside each apiserver, from PATH',
  },
  'log-level': {
    type: 'choice',
    choices: ['debug', 'info', 'warn', 'error'],
    default: 'info',
    help: 'Level of the logs of the processes',
  },
});

/** The options as the lab takes them. */
export function runLabOptions(values: OptionValues<typeof labOptions>, context: CommandContext): RunLabOptions {
  if (values.kernel === 'linux' && process.getuid?.() !== 0)
    throw new UsageError('Network namespaces and eBPF need root', {
      hint: 'run it as root, or without packets: --kernel memory',
    });
  for (const path of values.manifests) requireThere('--manifests', path);
  if (values.topology !== undefined) requireThere('--topology', values.topology);
  const own = values.manifests.length > 0;
  const topologyFile = values.topology ?? (own ? undefined : `${shop}topology.yaml`);
  return {
    name: values.name,
    manifests: own ? values.manifests : [`${shop}kubernetes-manifests.yaml`],
    ...(topologyFile ? { topologyFile } : {}),
    kernel: values.kernel,
    tcMode: values['tcMode'],
    store: values.store,
    log: createLogger({ level: 'warn', format: 'text', clock: context.clock, write: context.stderr }),
    logLevel: values.logLevel,
    onProgress: (line) => context.stderr(`lab: ${line}\n`),
  };
}

/** Turns what is the caller's fault into a usage error, so that the exit code is 2. */
export async function asUsage<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const callers = [
      ForeignNamespaceError,
      ForeignDirectoryError,
      LabIsLiveError,
      LabNameError,
      ManifestsError,
      MissingFeatureError,
      PlacementError,
      SocketPathError,
      StoreBinaryError,
      TopologyError,
    ];
    if (error instanceof Error && callers.some((kind) => error instanceof kind))
      throw new UsageError(error.message, { cause: error });
    throw error;
  }
}
