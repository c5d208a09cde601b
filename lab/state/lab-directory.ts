import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** Where the labs of this user keep their state: `/run/isthmus/lab` for root, else below the runtime directory. */
export function labsRoot(uid = process.getuid?.() ?? 0, env: NodeJS.ProcessEnv = process.env): string {
  if (uid === 0 && process.platform === 'linux') return '/run/isthmus/lab';
  const runtime = env['XDG_RUNTIME_DIR'] ?? '';
  // Empty is not set, and relative is to be ignored (XDG Base Directory Specification): a lab is found from any directory.
  return join(isAbsolute(runtime) ? runtime : tmpdir(), `isthmus-${uid}`, 'lab');
}

/** Every path of one lab. */
export interface LabPaths {
  readonly directory: string;
  readonly stateFile: string;
  readonly controlSocket: string;
  readonly logFile: string;
  /** Mount point of the lab's own bpffs. */
  readonly bpffs: string;
}

export function labPaths(name: string): LabPaths {
  const directory = join(labsRoot(), name);
  return {
    directory,
    stateFile: join(directory, 'state.json'),
    controlSocket: join(directory, 'control', 'lab.sock'),
    logFile: join(directory, 'lab.log'),
    bpffs: join(directory, 'bpf'),
  };
}

export interface ApiserverPaths {
  readonly directory: string;
  readonly dataDirectory: string;
  readonly apiSocket: string;
  readonly sourceSocket: string;
  readonly logFile: string;
}

export function apiserverPaths(lab: LabPaths, cluster: string): ApiserverPaths {
  const directory = join(lab.directory, cluster, 'apiserver');
  return {
    directory,
    dataDirectory: join(directory, 'data'),
    apiSocket: join(directory, 'run', 'api.sock'),
    sourceSocket: join(directory, 'source', 'kubernetes.sock'),
    logFile: join(directory, 'apiserver.log'),
  };
}

export interface NodePaths {
  readonly directory: string;
  readonly apiSocket: string;
  readonly stateDirectory: string;
  readonly storeConfig: string;
  readonly clustermeshDirectory: string;
  readonly pinDirectory: string;
  readonly agentLog: string;
  readonly podsLog: string;
}

export function nodePaths(lab: LabPaths, cluster: string, node: string): NodePaths {
  const directory = join(lab.directory, cluster, 'nodes', node);
  return {
    directory,
    apiSocket: join(directory, 'run', 'agent.sock'),
    stateDirectory: join(directory, 'state'),
    storeConfig: join(directory, 'store.yaml'),
    clustermeshDirectory: join(directory, 'clustermesh'),
    pinDirectory: join(lab.bpffs, `${cluster}-${node}`),
    agentLog: join(directory, 'agent.log'),
    podsLog: join(directory, 'pods.log'),
  };
}
