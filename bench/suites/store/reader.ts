import { PerformanceObserver } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { type MeshView, createMeshView } from '../../../clustermesh/index.ts';
import { type EtcdStore, WatchStore, openEtcdStore } from '../../../kvstore/index.ts';
import { systemClock } from '../../../runtime/clock/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';

/**
 * A process that reads a store as an agent does: list and watch, into the tables of a mesh view. It takes one command a
 * line from standard input and answers each with one line of JSON, so that all of them run warm in one process.
 */
const clock = systemClock;
const origin = { cluster: 'bench', clusterId: 2 };
const gcPauses: number[] = [];
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) gcPauses.push(duration);
}).observe({ entryTypes: ['gc'] });

const commands: Readonly<Record<string, (args: readonly string[]) => Promise<object>>> = {
  list: ([endpoint = '', ...prefixes]) => list(endpoint, prefixes),
  follow: ([endpoint = '', prefix = '', count = '']) => follow(endpoint, prefix, Number(count)),
  flood: ([endpoint = '', count = '']) => flood(endpoint, Number(count)),
  hold: ([endpoint = '', warm = '', prefix = '']) => hold(endpoint, warm, prefix),
};

for await (const line of createInterface(process.stdin)) {
  const [name = '', ...args] = line.split(' ');
  const run = commands[name];
  if (!run) throw new TypeError(`No such command: ${name}`);
  say(await run(args));
}

function say(result: object): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

function open(endpoint: string): EtcdStore {
  return openEtcdStore({ endpoints: [endpoint], clock, log: silentLogger });
}

/**
 * Lists each prefix over a connection of its own, two at a time as an agent does, into one view. Connections stay, as an
 * agent's do, until all is read and counted.
 */
async function list(endpoint: string, prefixes: readonly string[]): Promise<object> {
  const view = createMeshView({ ownCluster: 'own' });
  const cpu = process.cpuUsage();
  const start = performance.now();
  const left = [...prefixes.entries()];
  const readings: Reading[] = [];
  const worker = async (): Promise<void> => {
    for (let next = left.shift(); next; next = left.shift()) {
      const [i, prefix] = next;
      readings.push(await read(endpoint, prefix, view, { cluster: `c${i}`, clusterId: 2 }));
    }
  };
  await Promise.all([worker(), worker()]);
  const result = { count: view.counts.ips, seconds: (performance.now() - start) / 1000, cpu: cpuSince(cpu) };
  await Promise.all(readings.map((reading) => reading[Symbol.asyncDispose]()));
  return result;
}

/** A prefix that was read and is being followed. */
type Reading = AsyncDisposable;

/** Settles when the listing is complete. */
async function read(
  endpoint: string,
  prefix: string,
  view: MeshView,
  from: { readonly cluster: string; readonly clusterId: number } = origin,
): Promise<Reading> {
  const store = open(endpoint);
  const stop = new AbortController();
  const { promise: synced, resolve, reject } = Promise.withResolvers<void>();
  const running = watchStore(store, prefix, view, from, resolve).run(stop.signal);
  running.catch(reject);
  await synced;
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await running;
      await store[Symbol.asyncDispose]();
    },
  };
}

function watchStore(
  store: EtcdStore,
  prefix: string,
  view: MeshView,
  from: { readonly cluster: string; readonly clusterId: number },
  synced: () => void,
): WatchStore {
  const rows = view.writer(from).ipRows({ origin: { ...from, maxConnectedClusters: 255 } });
  const refuse = (key: string): void => {
    throw new Error(`${key} is not in the ordinary form`);
  };
  return new WatchStore({
    store,
    prefix,
    observer: { rows, upsert: refuse, remove: refuse, synced },
    log: silentLogger,
  });
}

/** Time from the writing of a value, which stands in it as the pod's name, until it is in the view. */
async function follow(endpoint: string, prefix: string, count: number): Promise<object> {
  await using store = open(endpoint);
  const view = createMeshView({ ownCluster: 'own' });
  const done = new AbortController();
  const latencies: number[] = [];
  let before = process.cpuUsage();
  let start = performance.now();
  const watch = watchStore(store, prefix, view, origin, () => {
    before = process.cpuUsage();
    start = performance.now();
    process.stdout.write('following\n');
  });
  // Looks at the view right after each batch was applied to it: what changed is there now.
  let seen = 0;
  const listAndWatch: EtcdStore['listAndWatch'] = async function* (key, options) {
    for await (const batch of store.listAndWatch(key, options)) {
      yield batch;
      const changes = view.changedSince(seen);
      seen = changes.version;
      const now = performance.timeOrigin + performance.now();
      for (const ip of changes.ips) latencies.push(now - Number(view.ip(ip)?.podName) / 1e6);
      if (latencies.length >= count) done.abort();
    }
  };
  await watch.run(done.signal, { listAndWatch });
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
  const seconds = (performance.now() - start) / 1000;
  return { count: view.counts.ips, seconds, cpu: cpuSince(before), p50: at(0.5), p99: at(0.99) };
}

/** Events as fast as a store can send them, into the view. */
async function flood(endpoint: string, count: number): Promise<object> {
  await using store = open(endpoint);
  const view = createMeshView({ ownCluster: 'own' });
  const done = new AbortController();
  let seen = 0;
  let before = process.cpuUsage();
  let start = performance.now();
  const listAndWatch: EtcdStore['listAndWatch'] = async function* (key, options) {
    for await (const batch of store.listAndWatch(key, options)) {
      const events = batch.type === 'changes' ? (batch.packed?.length ?? batch.events.length) : 0;
      if (seen === 0 && events > 0) {
        before = process.cpuUsage();
        start = performance.now();
      }
      yield batch;
      seen += events;
      if (seen >= count) done.abort();
    }
  };
  const watch = watchStore(store, '', view, origin, () => undefined);
  await watch.run(done.signal, { listAndWatch });
  return { count: seen, seconds: (performance.now() - start) / 1000, cpu: cpuSince(before), known: view.counts.ips };
}

interface Sizes {
  readonly rss: number;
  /** Heap and buffers after a collection. */
  readonly used: number;
}

/** Reads a prefix and keeps it; says what that takes beyond a process that has read and forgotten another one. */
async function hold(endpoint: string, warm: string, prefix: string): Promise<object> {
  await (await read(endpoint, warm, createMeshView({ ownCluster: 'own' })))[Symbol.asyncDispose]();
  // Blocks that the next listing may use again can be collected only in a later turn than the one that left them.
  await observed();
  const before = sizes();
  // The collections that were asked for are none of those that the listing causes.
  await observed();
  gcPauses.length = 0;
  const view = createMeshView({ ownCluster: 'own' });
  const cpu = process.cpuUsage();
  await using _reading = await read(endpoint, prefix, view);
  const spent = cpuSince(cpu);
  await observed();
  const worstPauseMs = Math.max(0, ...gcPauses);
  gcPauses.length = 0;
  const after = sizes();
  await observed();
  const fullPauseMs = Math.max(0, ...gcPauses);
  const count = view.counts.ips;
  return {
    count,
    cpu: spent,
    bytesPerEntry: (after.used - before.used) / count,
    rssBytes: after.rss - before.rss,
    worstPauseMs,
    fullPauseMs,
  };
}

/** Until what was observed so far has been reported. */
function observed(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 50));
}

function sizes(): Sizes {
  if (!globalThis.gc) throw new Error('Run with --expose-gc');
  for (let i = 0; i < 3; i++) globalThis.gc();
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, used: heapUsed + external };
}

function cpuSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}
