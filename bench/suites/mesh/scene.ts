// A mesh member and the clusters it is connected to: `scene.ts FOLDER CLUSTERS`, in a network namespace of its own with a
// bpffs at FOLDER/bpf. Says what it measured as one line of JSON, what goes on on standard error.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WatchStore, openEtcdStore } from '../../../kvstore/index.ts';
import { mockClusterName } from '../../../clustermesh/index.ts';
import { systemClock } from '../../../runtime/clock/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';
import { TaskGroup } from '../../../runtime/tasks/index.ts';
import { countingProxy } from './counting-proxy.ts';
import { Program } from './program.ts';

export interface SceneResult {
  readonly clusters: number;
  readonly keys: number;
  readonly copySeconds: number;
  readonly copyMegabytes: number;
  readonly copyCpuSeconds: number;
  readonly agentSeconds: number;
  readonly agentMegabytes: number;
  readonly agentCpuSeconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly bytesPerChange: number;
  readonly recoverySeconds: number;
  readonly longestQueue: number;
  readonly errors: number;
  readonly reconnections: number;
}

const clock = systemClock;
const [folder = '', clustersText = ''] = process.argv.slice(2);
const clusters = Number(clustersText);
const names = Array.from({ length: clusters }, (_, i) => mockClusterName(i + 1));
const own = ['--cluster-name', 'own', '--cluster-id', '255'];
const probes = 300;
const node = `apiVersion: v1
kind: Node
metadata: {name: n1}
spec: {podCIDR: 10.255.0.0/24, podCIDRs: [10.255.0.0/24]}
status: {addresses: [{type: InternalIP, address: 192.168.77.1}], conditions: [{type: Ready, status: "True"}]}
`;

const stopping = new AbortController();
process.once('SIGTERM', () => stopping.abort());
process.stdout.write(`${JSON.stringify(await play())}\n`);
process.exit(0);

async function play(): Promise<SceneResult> {
  const at = (name: string): string => join(folder, name);
  for (const name of ['manifests', 'remotes', 'cached']) await mkdir(at(name));
  await writeFile(at('manifests/node.yaml'), node);
  await using store = new Program(9001, 'store serve', '--data-dir', at('store'), '--listen', '127.0.0.1:0');
  const storeAt = (await store.said(/on (127\.0\.0\.1:\d+),/))[1] ?? '';
  await using mock = new Program(9002, 'mock', '--clusters', String(clusters));
  const [, keys = '', mockAt = ''] = await mock.said(/([\d,]+) keys of .* at http:\/\/(\S+)/);
  await using remotes = await countingProxy(hostPort(mockAt));
  await using cache = await countingProxy(hostPort(storeAt));
  await writeFile(at('own.yaml'), `endpoints: [http://${storeAt}]\n`);
  for (const name of names) {
    await writeFile(at(`remotes/${name}`), `endpoints: [${remotes.endpoint}]\n`);
    await writeFile(at(`cached/${name}`), `endpoints: [${cache.endpoint}]\n`);
  }
  await using apiserver = new Program(
    9003,
    'apiserver',
    ...own,
    '--store',
    'etcd',
    '--store-config',
    at('own.yaml'),
    '--source',
    `manifests:${at('manifests')}`,
  );
  await apiserver.said(/Publishing/);

  note('a kvstoremesh copies them');
  let started = clock.monotonicMs();
  await using mesh = new Program(
    9004,
    'kvstoremesh',
    ...own,
    '--store-config',
    at('own.yaml'),
    '--clustermesh-config',
    at('remotes'),
    '--api-serve-addr',
    '127.0.0.1:0',
    // Nothing is ready that was not read.
    '--per-cluster-ready-timeout',
    '10m',
  );
  await mesh.ready();
  const copySeconds = (clock.monotonicMs() - started) / 1000;
  const copyCpuSeconds = await mesh.cpuSeconds();
  const copyMegabytes = await mesh.megabytes();

  note(`ready after ${copySeconds.toFixed(1)} s; an agent reads the copies`);
  started = clock.monotonicMs();
  await using agent = new Program(
    9005,
    'agent',
    ...own,
    '--node-name',
    'n1',
    '--node-ip',
    '192.168.77.1',
    '--store-config',
    at('own.yaml'),
    '--clustermesh-config',
    at('cached'),
    '--state-dir',
    at('agent'),
    '--api-socket',
    at('agent.sock'),
    '--bpf-dir',
    at('bpf/agent'),
    '--clustermesh-sync-timeout',
    '10m',
  );
  await agent.ready();
  const agentSeconds = (clock.monotonicMs() - started) / 1000;
  const agentCpuSeconds = await agent.cpuSeconds();
  const agentMegabytes = await agent.megabytes();

  note(`ready after ${agentSeconds.toFixed(1)} s; changes`);
  await using source = openEtcdStore({ endpoints: [`http://${mockAt}`], clock, log: silentLogger });
  await using copy = openEtcdStore({ endpoints: [`http://${storeAt}`], clock, log: silentLogger });
  const seen = new Map<string, () => void>();
  let events = 0;
  const watch = new WatchStore({
    store: copy,
    prefix: 'cilium/cache/ip/',
    log: silentLogger,
    observer: {
      upsert: (key) => {
        events += 1;
        seen.get(key)?.();
      },
      remove: () => void (events += 1),
    },
  });
  await using tasks = new TaskGroup(stopping.signal);
  tasks.run((running) => watch.run(running).catch(() => undefined));
  while (!watch.synced) await clock.sleep(20);

  /** Writes an endpoint into a cluster's store; settles with the time until its copy was seen. */
  const propagate = async (cluster: string, number: number): Promise<number> => {
    const ip = `203.0.113.${number % 256}`;
    const suffix = `v1/${cluster}/${ip}`;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    seen.set(suffix, resolve);
    using _limit = clock.timer(120_000, () => reject(new Error(`The copy of ${suffix} did not come in two minutes`)));
    const before = clock.monotonicMs();
    const value = {
      IP: ip,
      Mask: null,
      HostIP: '172.16.0.1',
      ID: 1,
      Key: 0,
      Metadata: '',
      K8sPodName: `probe-${number}`,
    };
    await source.put(`cilium/cache/ip/${suffix}`, JSON.stringify(value));
    await promise;
    return clock.monotonicMs() - before;
  };
  const [eventsBefore, bytesBefore] = [events, cache.bytes];
  const times: number[] = [];
  let longestQueue = 0;
  for (let i = 0; i < probes; i++) {
    times.push(await propagate(names[i % clusters] ?? '', i));
    if (i % 10 === 0) longestQueue = Math.max(longestQueue, await mesh.metric('isthmus_kvstore_sync_queue_size'));
    await clock.sleep(50);
  }
  const bytesPerChange = (cache.bytes - bytesBefore) / Math.max(1, events - eventsBefore);
  const errors = await mesh.metric('isthmus_kvstore_sync_errors_total');
  const reconnections = await mesh.metric('isthmus_remote_cluster_failures');

  note('every connection to the remote clusters is cut');
  started = clock.monotonicMs();
  const cut = remotes.cut();
  if (cut < clusters) throw new Error(`Only ${cut} connections were there to be cut`);
  await Promise.all(names.map((name, i) => propagate(name, probes + i)));
  const recoverySeconds = (clock.monotonicMs() - started) / 1000;

  times.sort((a, b) => a - b);
  const quantile = (part: number): number =>
    times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? Number.NaN;
  return {
    clusters,
    keys: Number(keys.replaceAll(',', '')),
    copySeconds,
    copyMegabytes,
    copyCpuSeconds,
    agentSeconds,
    agentMegabytes,
    agentCpuSeconds,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    bytesPerChange,
    recoverySeconds,
    longestQueue,
    errors,
    reconnections,
  };
}

function hostPort(text: string): { readonly host: string; readonly port: number } {
  const cut = text.lastIndexOf(':');
  return { host: text.slice(0, cut), port: Number(text.slice(cut + 1)) };
}

function note(line: string): void {
  process.stderr.write(`bench: mesh: ${clusters} clusters: ${line}\n`);
}
