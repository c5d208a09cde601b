import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

const isthmus = join(import.meta.dirname, '../../../bin/isthmus');
const operationsPage = join(import.meta.dirname, '../../../docs/operations.md');

/** What Cilium calls its metrics (without prefix), as far as the process has the thing: type, then labels. */
const common = {
  kvstore_operations_duration_seconds: 'histogram action kind outcome scope',
  kvstore_events_queue_seconds: 'histogram action scope',
  kvstore_quorum_errors_total: 'counter error',
  kvstore_sync_queue_size: 'gauge scope source_cluster',
  kvstore_sync_errors_total: 'counter scope source_cluster',
  kvstore_initial_sync_completed: 'gauge action scope source_cluster',
};
const expected = {
  apiserver: { ...common, bootstrap_seconds: 'gauge' },
  agent: {
    ...common,
    clustermesh_remote_clusters: 'gauge',
    clustermesh_remote_cluster_readiness_status: 'gauge target_cluster',
    clustermesh_remote_cluster_failures: 'gauge target_cluster',
    clustermesh_remote_cluster_last_failure_ts: 'gauge target_cluster',
    clustermesh_remote_cluster_nodes: 'gauge target_cluster',
    clustermesh_remote_cluster_services: 'gauge target_cluster',
    clustermesh_remote_cluster_endpoints: 'gauge target_cluster',
    clustermesh_remote_cluster_refused_records: 'gauge reason target_cluster',
    bpf_map_pressure: 'gauge map_name',
    drop_packets_total: 'counter reason',
    forward_packets_total: 'counter event',
  },
  kvstoremesh: {
    ...common,
    bootstrap_seconds: 'gauge',
    remote_clusters: 'gauge',
    remote_cluster_readiness_status: 'gauge target_cluster',
    remote_cluster_failures: 'gauge target_cluster',
    remote_cluster_last_failure_ts: 'gauge target_cluster',
    remote_cluster_cache_revocations: 'gauge target_cluster',
    leader_election_master_status: 'gauge name',
  },
  store: { etcd_server_calls_total: 'counter code method', etcd_server_watchers: 'gauge' },
} as const;

describe('the metrics of every process', () => {
  let folder = '';
  const children: ChildProcess[] = [];
  const addresses = new Map<string, string>();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'isthmus-metrics-'));
    await mkdir(join(folder, 'manifests'));
    await mkdir(join(folder, 'peers'));
    await writeFile(
      join(folder, 'manifests', 'node.yaml'),
      'apiVersion: v1\nkind: Node\nmetadata: {name: n1}\nspec: {podCIDRs: [10.1.0.0/24]}\n',
    );
    const serve = async (name: string, ...args: string[]): Promise<void> => {
      const address = `127.0.0.1:${await freePort()}`;
      addresses.set(name, address);
      children.push(spawn(isthmus, [...args, '--metrics-address', address], { stdio: 'ignore' }));
    };
    const endpoints: Record<string, string> = {};
    for (const [i, cluster] of ['east', 'west'].entries()) {
      endpoints[cluster] = `127.0.0.1:${await freePort()}`;
      const where = ['--data-dir', join(folder, cluster), '--listen', endpoints[cluster]];
      const what = ['--cluster-name', cluster, '--cluster-id', `${i + 1}`, '--source', `manifests:${folder}/manifests`];
      await serve(cluster, 'apiserver', ...what, ...where);
      await writeFile(join(folder, 'peers', cluster), `endpoints: ["http://${endpoints[cluster]}"]\n`);
    }
    await serve('store', 'store', 'serve', '--data-dir', join(folder, 'alone'), '--listen', '127.0.0.1:0');
    const own = ['--cluster-name', 'east', '--cluster-id', '1', '--node-name', 'n1', '--node-ip', '127.0.0.1'];
    const files = ['--state-dir', join(folder, 'agent'), '--api-socket', join(folder, 'agent.sock')];
    const stores = ['--store-config', join(folder, 'peers', 'east'), '--clustermesh-config', join(folder, 'peers')];
    const mesh = ['--cluster-name', 'east', '--cluster-id', '1', '--api-serve-addr', '127.0.0.1:0'];
    await serve('kvstoremesh', 'kvstoremesh', ...mesh, ...stores);
    await serve('agent', 'agent', ...own, ...files, ...stores, '--kernel', 'memory', '--bpf-dir', join(folder, 'bpf'));
  });
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });

  const scrape = async (process: string): Promise<string> => {
    try {
      return await (await fetch(`http://${addresses.get(process)}/metrics`)).text();
    } catch {
      return '';
    }
  };

  test.each([
    { process: 'east', role: 'apiserver' as const, ready: 'isthmus_bootstrap_seconds ' },
    { process: 'agent', role: 'agent' as const, ready: 'isthmus_kvstore_initial_sync_completed{' },
    {
      process: 'kvstoremesh',
      role: 'kvstoremesh' as const,
      ready: 'isthmus_kvstore_initial_sync_completed{',
    },
    { process: 'store', role: 'store' as const, ready: 'isthmus_etcd_server_watchers ' },
  ])(
    'have the names, types and labels of Cilium: $role',
    async ({ process, role, ready }) => {
      let text = await scrape(process);
      for (; !text.includes(ready); text = await scrape(process)) await sleep(50);
      const found = metricsIn(text);
      for (const [name, meaning] of Object.entries(expected[role])) {
        const [type, ...labels] = meaning.split(' ');
        const metric = found.get(`isthmus_${name}`);
        expect({ name, type: metric?.type }).toEqual({ name, type });
        // A series that nothing has happened to yet shows no labels.
        if (metric && metric.samples > 0) expect({ name, labels: metric.labels }).toEqual({ name, labels });
      }
      for (const name of found.keys()) expect(name).toMatch(/^(isthmus|process|nodejs)_/);
    },
    120_000,
  );

  test.each([
    { process: 'east', role: 'apiserver', ready: 'isthmus_bootstrap_seconds ' },
    { process: 'agent', role: 'agent', ready: 'isthmus_kvstore_initial_sync_completed{' },
    { process: 'kvstoremesh', role: 'kvstoremesh', ready: 'isthmus_kvstore_initial_sync_completed{' },
    { process: 'store', role: 'store', ready: 'isthmus_etcd_server_watchers ' },
  ])(
    'are those of docs/operations.md: $role',
    async ({ process, role, ready }) => {
      const documented = await metricsOnPage(role);
      let text = await scrape(process);
      for (; !text.includes(ready); text = await scrape(process)) await sleep(50);
      const found = [...metricsIn(text)].filter(([name]) => name.startsWith('isthmus_'));
      expect(found.map(([name, { type }]) => `${name} ${type}`).toSorted()).toEqual(
        documented.map(({ name, type }) => `isthmus_${name} ${type}`).toSorted(),
      );
      for (const [name, { labels, samples }] of found) {
        const row = documented.find((one) => `isthmus_${one.name}` === name);
        if (samples > 0) expect({ name, labels }).toEqual({ name, labels: row?.labels });
      }
    },
    120_000,
  );

  test('without prefix are named in docs/operations.md, too', async () => {
    const page = await readFile(operationsPage, 'utf8');
    let text = await scrape('store');
    for (; text === ''; text = await scrape('store')) await sleep(50);
    const names = [...metricsIn(text).keys()].filter((name) => !name.startsWith('isthmus_'));
    expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
    expect(names.length).toBeGreaterThan(0);
  }, 120_000);
});

interface Documented {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
}

/** Rows of the page's table that are about a process. A cell may name several metrics: in full, or with `{a,b}`. */
async function metricsOnPage(role: string): Promise<Documented[]> {
  const page = await readFile(operationsPage, 'utf8');
  const table = /^\| Metric [^]*?\n\n/m.exec(page)?.[0] ?? '';
  return table.split('\n').flatMap((line) => {
    const [, names = '', type = '', labels = '', processes = ''] = line.split('|').map((cell) => cell.trim());
    if (!processes.split(/\W+/).includes(role)) return [];
    // In brackets stand the values of a label.
    const labelNames = [...labels.replaceAll(/\([^)]*\)/g, '').matchAll(/`([a-z_]+)`/g)].map(([, name = '']) => name);
    return [...names.matchAll(/`([^`]+)`/g)].flatMap(([, name = '']) => {
      const [, start = name, choices = ''] = /^([a-z_]+)\{(.+)\}$/.exec(name) ?? [];
      return choices.split(',').map((choice) => ({
        name: start + choice,
        type: /^[a-z]+/.exec(type)?.[0] ?? '',
        labels: labelNames.toSorted(),
      }));
    });
  });
}

interface Found {
  readonly type: string;
  labels: string[];
  samples: number;
}

function metricsIn(text: string): ReadonlyMap<string, Found> {
  const found = new Map<string, Found>();
  for (const line of text.split('\n')) {
    const [, name = '', type = ''] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
    if (name !== '') found.set(name, { type, labels: [], samples: 0 });
    const [, sample = '', labels = ''] = /^([a-z_]+)(?:\{(.*)\})? \S+$/.exec(line) ?? [];
    const metric = found.get(sample) ?? found.get(sample.replace(/_(bucket|sum|count)$/, ''));
    if (!metric) continue;
    metric.samples++;
    metric.labels = [...labels.matchAll(/([a-z_]+)="/g)]
      .map(([, label = '']) => label)
      .filter((one) => one !== 'le')
      .toSorted();
  }
  return found;
}

async function freePort(): Promise<number> {
  const probe = createServer();
  const port = await new Promise<number>((resolve) => {
    probe.listen(0, '127.0.0.1', () => resolve((probe.address() as { port: number }).port));
  });
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
