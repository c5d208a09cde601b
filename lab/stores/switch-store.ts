import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../../runtime/clock/index.ts';
import { type ChildExit, type ChildOptions, type LabProcess, startChild } from '../processes/index.ts';
import { type LabPaths, apiserverPaths } from '../state/index.ts';
import type { LabSubstrate } from '../substrate/index.ts';
import type { ClusterStores, LabStoreKind } from './cluster-stores.ts';
import { serverRole, startStoreServer } from './store-server.ts';

const cliMain = fileURLToPath(
  new URL(`../../cli/main${import.meta.url.endsWith('.js') ? '.js' : '.ts'}`, import.meta.url),
);

/** How a switch went. */
export interface StoreSwitch {
  readonly cluster: string;
  readonly from: LabStoreKind;
  readonly to: LabStoreKind;
  /** Keys that the new store held before the first process moved. */
  readonly keys: number;
  /** Differences between both stores before the first process moved. */
  readonly before: number;
  /** Differences of the cluster's records between the old store and the new one, after all had moved. */
  readonly after: number;
  /** Records that were compared then. */
  readonly compared: number;
}

export interface StoreSwitchDependencies {
  readonly stores: ClusterStores;
  readonly paths: LabPaths;
  readonly substrate: Pick<LabSubstrate, 'within'>;
  readonly clock: Clock;
  readonly onProgress: (line: string) => void;
  /** Runs a process from now on. */
  readonly keep: (options: ChildOptions) => void;
  /** Ends a process in an orderly way. */
  readonly retire: (role: string) => Promise<void>;
  /** Ends an agent and starts it anew with what {@link ClusterStores} says now; settles when it is ready. */
  readonly moveAgents: (cluster: string) => Promise<void>;
  /** Starts the apiserver with what {@link ClusterStores} says now; settles when it is ready. */
  readonly startApiserver: (cluster: string) => Promise<void>;
  /** Tells the other clusters how this one is reached now. */
  readonly tellPeers: (cluster: string) => Promise<void>;
}

/**
 * What is the same in both stores, whoever wrote it: all records but signs of life (heartbeat, marks, who leads, and what
 * agents answered to an apiserver's question, which each life of one asks anew).
 */
const statePrefixes = [
  'cilium/cluster-config/',
  'cilium/state/',
  ...['services', 'endpoints', 'namespaces', 'nodes', 'policies', 'workloads', 'identities', 'ip'].map(
    (kind) => `isthmus/v1/${kind}/`,
  ),
];
const startedWithinMs = 60_000;

/**
 * Moves a running cluster from one store to another: the new store's server starts, a copier fills it and follows the old
 * one, then the processes move one after another. What they publish there becomes theirs; what the datapath does goes on.
 *
 * To a store with a server of its own the agents move first, while the copier still follows what the apiserver writes. A
 * store that is the apiserver's own exists only once the apiserver has moved, so there the agents come after it.
 * @throws {StoreBinaryError}
 */
export async function switchStore(
  cluster: string,
  to: LabStoreKind,
  deps: StoreSwitchDependencies,
  signal: AbortSignal,
): Promise<StoreSwitch> {
  const { stores, onProgress } = deps;
  const from = stores.kindOf(cluster);
  if (from === to) throw new RangeError(`The store of ${cluster} is ${to} already`);
  const server = await startStoreServer(cluster, to, deps);
  if (server) {
    deps.keep(server);
    onProgress(`${cluster}: ${to} is starting`);
    await untilServed(cluster, to, deps, signal);
  }
  const oldName = stores.named(cluster, from);
  await writeFile(stores.configFile(cluster, from), stores.ownConfig(cluster, from), { mode: 0o600 });
  const newName = to === 'embedded' ? `embedded:${stores.dataDirectory(cluster, to)}` : stores.named(cluster, to);
  const copier = await Copier.start(cluster, [oldName, newName], deps);
  const keys = copier.keys;
  onProgress(`${cluster}: ${to} is in step with ${from}, ${keys} keys`);
  let before = 0;
  stores.setKind(cluster, to);
  if (to === 'embedded') {
    await deps.retire(`${cluster}/apiserver`);
    await copier.stop();
    ({ differences: before } = await compare(cluster, [oldName, newName], deps));
    await deps.startApiserver(cluster);
    await deps.tellPeers(cluster);
    await deps.moveAgents(cluster);
  } else {
    ({ differences: before } = await compare(cluster, [oldName, newName], deps));
    await deps.moveAgents(cluster);
    await deps.retire(`${cluster}/apiserver`);
    await copier.stop();
    await deps.startApiserver(cluster);
    await deps.tellPeers(cluster);
  }
  onProgress(`${cluster}: apiserver and agents have moved`);
  const past = from === 'embedded' ? `embedded:${stores.dataDirectory(cluster, from)}` : oldName;
  const { differences: after, compared } = await compare(cluster, [past, stores.named(cluster, to)], deps);
  if (from !== 'embedded') await deps.retire(serverRole(cluster, from));
  return { cluster, from, to, keys, before, after, compared };
}

/** A server answers once `isthmus store status` gets an answer, from where it runs. */
async function untilServed(
  cluster: string,
  kind: LabStoreKind,
  deps: StoreSwitchDependencies,
  signal: AbortSignal,
): Promise<void> {
  const { clock, stores } = deps;
  for (const deadline = clock.monotonicMs() + startedWithinMs; ;) {
    const { exit, stdout } = await tool(cluster, ['status', '--store', stores.named(cluster, kind)], deps);
    if (exit.code === 0) return;
    if (clock.monotonicMs() > deadline) throw new Error(`The ${kind} of ${cluster} did not answer: ${stdout}`);
    await clock.sleep(200, signal);
  }
}

/** How many records two stores differ in, and of how many. */
async function compare(
  cluster: string,
  [a, b]: readonly [string, string],
  deps: StoreSwitchDependencies,
): Promise<{ readonly differences: number; readonly compared: number }> {
  const prefixes = statePrefixes.flatMap((prefix) => ['--prefix', prefix]);
  const { stdout } = await tool(cluster, ['check', a, b, ...prefixes, '--settle', '10s', '-o', 'json'], deps);
  const answer = jsonOf(stdout) as
    | { readonly differences?: unknown; readonly keysInA?: unknown; readonly list?: unknown }
    | undefined;
  const { differences, keysInA: compared } = answer ?? {};
  if (typeof differences !== 'number' || typeof compared !== 'number')
    throw new Error(`Cannot compare the stores of ${cluster}: ${stdout}`);
  if (differences > 0) deps.onProgress(`${cluster}: ${JSON.stringify(answer?.list)}`);
  return { differences, compared };
}

/** Runs `isthmus store …` where the cluster's stores can be reached. */
async function tool(
  cluster: string,
  args: readonly string[],
  deps: StoreSwitchDependencies,
): Promise<{ readonly exit: ChildExit; readonly stdout: string }> {
  let stdout = '';
  const child = startTool(cluster, args, deps, (text) => (stdout += text));
  return { exit: await child.exited, stdout };
}

function startTool(
  cluster: string,
  args: readonly string[],
  { paths, substrate }: StoreSwitchDependencies,
  onText: (text: string) => void,
): LabProcess {
  return startChild({
    role: `${cluster}/store-${args[0]}`,
    argv: [cliMain, 'store', ...args],
    logFile: join(apiserverPaths(paths, cluster).directory, 'switch.log'),
    within: substrate.within(cluster, 'apiserver'),
    onOutput: (chunk) => onText(chunk.toString('utf8')),
  });
}

/** `isthmus store copy`, from the moment when it is in step. */
class Copier {
  readonly keys: number;
  readonly #child: LabProcess;

  private constructor(child: LabProcess, keys: number) {
    this.#child = child;
    this.keys = keys;
  }

  static async start(
    cluster: string,
    stores: readonly [string, string],
    deps: StoreSwitchDependencies,
  ): Promise<Copier> {
    let stdout = '';
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const child = startTool(cluster, ['copy', ...stores], deps, (text) => {
      stdout += text;
      const [, keys] = /In step at revision \d+: ([\d,]+) keys listed/.exec(stdout) ?? [];
      if (keys !== undefined) resolve(Number(keys.replaceAll(',', '')));
    });
    void child.exited.then(() => reject(new Error(`The copier of ${cluster} ended: ${stdout}${child.logTail()}`)));
    return new Copier(child, await promise);
  }

  /** It ends in an orderly way; what nobody has claimed stays for the time of its lease. */
  async stop(): Promise<void> {
    await this.#child.stop(10_000);
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
