import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { zstdDecompressSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { apiserver } from '../../../cli/apiserver.ts';
import { openStore, storeAddressOf, toText } from '../../../kvstore/index.ts';
import { systemClock as clock } from '../../../runtime/clock/index.ts';
import { silentLogger as log } from '../../../runtime/log/index.ts';
import { type KubeProcess, startKube } from '../../support/kube.ts';
import { ciliumCrds, serviceExportCrd } from '../../support/kube-crds.ts';
import { needs } from '../../support/probe.ts';
import { until } from '../../support/until.ts';

const isthmus = join(import.meta.dirname, '../../../bin/isthmus');
const text = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
const rbac = text('deploy/kubernetes/rbac.yaml');
const account = 'system:serviceaccount:isthmus-system:isthmus-apiserver';

needs('kube', 'etcd')('isthmus apiserver --source kubernetes', () => {
  let kube: KubeProcess;
  let folder: string;
  let runs = 0;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'isthmus-apiserver-'));
    kube = await startKube({ tokens: { [account]: 'apiserver-token' } });
    await kube.apply(rbac);
    // The first time a machine does this, the servers are built before.
  }, 1_500_000);
  afterAll(async () => {
    await kube[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  /** Starts it with a store of its own; `records` gives what is there under a prefix. */
  const start = async (
    ...more: string[]
  ): Promise<AsyncDisposable & { records: (prefix: string) => Promise<Map<string, Uint8Array>> }> => {
    const run = ++runs;
    const kubeconfig = kube.kubeconfig('apiserver', { token: 'apiserver-token' });
    const args = [
      '--data-dir',
      join(folder, `data-${run}`),
      '--listen',
      '127.0.0.1:0',
      `--source=kubernetes:${kubeconfig}`,
    ];
    const child = spawn(isthmus, ['apiserver', ...args, ...more], { stdio: ['ignore', 'pipe', 'pipe'] });
    const address = await addressOf(child);
    const configFile = join(folder, `store-${run}.yaml`);
    writeFileSync(configFile, `endpoints: [http://${address}]\n`);
    const opened = await openStore(storeAddressOf({ kind: 'etcd', configFile, dataDirectory: undefined }), {
      clock,
      log,
    });
    return {
      records: async (prefix) => {
        const found = new Map<string, Uint8Array>();
        for await (const { entries } of opened.store.list(prefix))
          for (const { key, value } of entries) found.set(toText(key), value.slice());
        return found;
      },
      [Symbol.asyncDispose]: async () => {
        await opened[Symbol.asyncDispose]();
        const ended = new Promise((resolve) => child.once('close', resolve));
        child.kill('SIGTERM');
        await ended;
      },
    };
  };

  test('publishes services, identities, workloads and policies of a cluster with any network plugin', async () => {
    await kube.apply(`
{apiVersion: v1, kind: Namespace, metadata: {name: east}}
---
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {topology.kubernetes.io/zone: z1}}
spec: {podCIDR: 10.1.0.0/24, podCIDRs: [10.1.0.0/24]}
status: {addresses: [{type: InternalIP, address: 172.18.0.2}], conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: east, labels: {app: web}}
spec: {nodeName: n1, serviceAccountName: web, containers: [{name: c, image: x, ports: [{name: http, containerPort: 8080}]}]}
status: {phase: Running, podIP: 10.1.0.5, podIPs: [{ip: 10.1.0.5}], conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: east, annotations: {service.cilium.io/global: "true"}}
spec: {ports: [{name: http, port: 80, targetPort: http}], selector: {app: web}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: east, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.1.0.5], conditions: {ready: true, serving: true, terminating: false}, nodeName: n1, zone: z1}]
ports: [{name: http, port: 8080, protocol: TCP}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: east}
spec: {podSelector: {}, policyTypes: [Ingress]}
`);
    await using running = await start('--cluster-name=east', '--cluster-id=1');
    const keys = async (prefix: string): Promise<string[]> => [...(await running.records(prefix)).keys()];
    await until(async () => (await keys('cilium/synced/east/')).length >= 3);
    await until(async () => (await keys('isthmus/v1/workloads/n1/east/')).length === 1);
    const [service] = (await running.records('cilium/state/services/v1/east/east/')).values();
    expect(JSON.parse(toText(service ?? new Uint8Array()))).toMatchObject({
      backends: { '10.1.0.5': { http: { Protocol: 'TCP', Port: 8080 } } },
      zones: { '10.1.0.5': { zone: 'z1' } },
      shared: true,
      clusterID: 1,
    });
    const identities = [...(await running.records('cilium/state/identities/v1/id/')).values()].map(toText);
    expect(identities).toEqual([
      expect.stringMatching(/k8s:app=web;.*k8s:io\.cilium\.k8s\.policy\.serviceaccount=web;/),
    ]);
    expect(await keys('isthmus/v1/policies/')).toEqual([expect.stringContaining('east/deny')]);
    await kube.remove({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web-1', namespace: 'east' } });
    await until(async () => (await keys('isthmus/v1/workloads/')).length === 0);
    await kube.remove({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'web', namespace: 'east' } });
    await until(async () => (await keys('cilium/state/services/')).length === 0);
  }, 120_000);

  test.each(['rbac.yaml', 'rbac-cilium.yaml', 'apiserver.yaml', 'apiserver-etcd.yaml'])(
    'has manifests that an API server takes, with options that there are: %s',
    async (name) => {
      const manifest = text(`deploy/kubernetes/${name}`);
      await kube.apply(manifest);
      const options = [...manifest.matchAll(/^ +- --([a-z-]+)(?:=|$)/gm)].map(([, option]) => option ?? '');
      expect(options.filter((option) => !Object.hasOwn(apiserver.options, option))).toEqual([]);
      expect(options.includes('source')).toBe(name.startsWith('apiserver'));
    },
  );

  test('of several replicas on an etcd lets one publish by a Lease; when it is killed another goes on, and no record goes', async () => {
    const configFile = join(folder, 'etcd.yaml');
    writeFileSync(configFile, `endpoints: [${kube.etcd.endpoint}]\n`);
    const kubeconfig = kube.kubeconfig('replica', { token: 'apiserver-token' });
    const args = ['--cluster-name=east', '--cluster-id=1', '--store=etcd', `--store-config=${configFile}`];
    const more = [`--source=kubernetes:${kubeconfig}`, '--leader-elect-lease-duration=2s'];
    const replica = (): ChildProcess => spawn(isthmus, ['apiserver', ...args, ...more], { stdio: 'ignore' });
    await using opened = await openStore(storeAddressOf({ kind: 'etcd', configFile, dataDirectory: undefined }), {
      clock,
      log,
    });
    const first = replica();
    let second: ChildProcess | undefined;
    const leader = async (): Promise<{ holder: string; transitions: number }> => {
      const path = '/apis/coordination.k8s.io/v1/namespaces/isthmus-system/leases/isthmus-apiserver';
      const { spec } = (await kube.call('GET', path)).json as {
        spec?: { holderIdentity?: string; leaseTransitions?: number };
      };
      return { holder: spec?.holderIdentity ?? '', transitions: spec?.leaseTransitions ?? 0 };
    };
    const stop = new AbortController();
    const deleted: string[] = [];
    try {
      const written = async (): Promise<Date | undefined> => {
        const entry = await opened.store.get('cilium/synced/east/cilium/state/services/v1');
        return entry && new Date(toText(entry.value));
      };
      await until(async () => (await written()) !== undefined);
      const before = await leader();
      // Nobody can lead while the API server is away: who led before goes on, after its Lease has run out, too.
      kube.pause();
      try {
        await sleep(5_000);
        await opened.store.delete('cilium/cluster-config/east');
        await until(async () => (await opened.store.get('cilium/cluster-config/east')) !== undefined);
      } finally {
        kube.resume();
      }
      const following = (async () => {
        for await (const batch of opened.store.listAndWatch('cilium/', { signal: stop.signal }))
          if (batch.type === 'changes')
            for (const event of batch.events) if (event.type === 'delete') deleted.push(toText(event.key));
      })().catch(() => undefined);
      second = replica();
      first.kill('SIGKILL');
      await until(async () => (await leader()).transitions > before.transitions);
      const after = await leader();
      expect(after.holder).not.toBe(before.holder);
      const since = Date.now();
      await until(async () => ((await written())?.getTime() ?? 0) >= since - 2_000);
      second.kill('SIGTERM');
      await until(async () => (await leader()).holder === '');
      stop.abort();
      await following;
      expect(deleted).toEqual([]);
    } finally {
      stop.abort();
      for (const child of [first, second]) child?.kill('SIGKILL');
    }
  }, 120_000);

  test('of a cluster that runs Cilium stores what Cilium itself stored for the same objects', async () => {
    await kube.apply(text('deploy/kubernetes/rbac-cilium.yaml'));
    await kube.apply(ciliumCrds + serviceExportCrd('v1beta1'));
    await kube.apply(text('test/fixtures/cilium/cilium-state-objects.yaml'));
    await using running = await start(
      '--cluster-name=cluster3',
      '--cluster-id=3',
      '--source-mode=cilium',
      '--clustermesh-enable-mcs-api',
    );
    const sample = new Map(
      text('test/fixtures/cilium/cilium-state-sample.jsonl')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as { key: string; value?: string; valueBase64?: string })
        .map(({ key, value, valueBase64 }) => [
          key,
          comparable(key, value === undefined ? Buffer.from(valueBase64 ?? '', 'base64') : Buffer.from(value)),
        ]),
    );
    const canaries = [...sample.keys()].filter((key) => key.startsWith('cilium/synced/'));
    await until(async () => (await running.records('cilium/synced/')).size === canaries.length);
    const stored = await running.records('cilium/');
    expect(Object.fromEntries([...stored].map(([key, value]) => [key, comparable(key, value)]))).toEqual(
      Object.fromEntries(sample),
    );
  }, 120_000);
});

/** A value without what depends on the time, and uncompressed. */
function comparable(key: string, value: Uint8Array): string {
  if (key.startsWith('cilium/state/endpointslices/')) return zstdDecompressSync(value).toString('hex');
  if (key.startsWith('cilium/synced/') || key === 'cilium/.heartbeat') return 'a time';
  return toText(value).replace(/("exportCreationTimestamp":)"[^"]*"/, '$1"a time"');
}

function addressOf(child: ChildProcess): Promise<string> {
  let said = '';
  let complaints = '';
  child.stderr?.setEncoding('utf8').on('data', (part: string) => (complaints = (complaints + part).slice(-4_000)));
  return new Promise((resolve, reject) => {
    child.stdout?.setEncoding('utf8').on('data', (part: string) => {
      said += part;
      const found = /on (127\.0\.0\.1:\d+)/.exec(said)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once('close', (code) => reject(new Error(`isthmus apiserver ended with ${code}:\n${complaints}`)));
  });
}
