import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type ApiServer, LeaseElection, openApiServer } from '../../../kubernetes/index.ts';
import { systemClock } from '../../../runtime/clock/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';
import { type KubeProcess, startKube } from '../../support/kube.ts';
import { needs } from '../../support/probe.ts';
import { SourceMirror } from '../../support/source-mirror.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';

const rbac = readFileSync(new URL('../../../deploy/kubernetes/rbac.yaml', import.meta.url), 'utf8');
const account = 'system:serviceaccount:isthmus-system:isthmus-apiserver';

needs('kube', 'etcd')('A cluster', () => {
  let kube: KubeProcess;
  beforeAll(async () => {
    kube = await startKube({ tokens: { [account]: 'apiserver-token' } });
    await kube.apply(`${rbac}---\n{apiVersion: v1, kind: Namespace, metadata: {name: churn}}`);
    // The first time a machine does this, the servers are built before.
  }, 1_500_000);
  afterAll(async () => kube[Symbol.asyncDispose](), 60_000);

  let opened = 0;
  const open = (server?: string): Promise<ApiServer> => {
    const kubeconfig = kube.kubeconfig(`test-${++opened}`, { token: 'apiserver-token' }, server);
    return openApiServer({ kubeconfig, clock: systemClock });
  };

  /** Calls `work` with numbers from 0, several at a time. */
  const inParallel = async (count: number, work: (i: number) => Promise<unknown>): Promise<void> => {
    let next = 0;
    const one = async (): Promise<void> => {
      while (next < count) await work(next++);
    };
    await Promise.all(Array.from({ length: 16 }, one));
  };
  const path = '/api/v1/namespaces/churn/pods';
  const create = async (name: string): Promise<void> => {
    const { status, text } = await kube.call('POST', path, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels: { app: 'churn', generation: '1' } },
      spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'x' }] },
    });
    if (status !== 201) throw new Error(`${status} ${text}`);
  };
  const change = (name: string): Promise<unknown> =>
    kube.call(
      'PATCH',
      `${path}/${name}`,
      { metadata: { labels: { generation: '2' } } },
      { contentType: 'application/merge-patch+json' },
    );

  test('of 5,000 pods that come, change and go is told as a listing has it in the end, through cut connections', async () => {
    await using proxy = await startTcpProxy({ host: '127.0.0.1', port: kube.port });
    await inParallel(2_500, (i) => create(`early-${i}`));
    await using mirror = new SourceMirror(await open(`https://127.0.0.1:${proxy.port}`), ['Pod'], 300);
    await inParallel(2_500, async (i) => {
      await create(`late-${i}`);
      if (i % 5 === 0) await change(`late-${i}`);
      if (i % 3 === 0) await kube.call('DELETE', `${path}/early-${i}?gracePeriodSeconds=0`);
      if (i % 500 === 250) proxy.cut();
    });
    const fresh = await kube.call('GET', path);
    const { items } = fresh.json as {
      items: { metadata: { name: string; uid: string; labels: Record<string, string> } }[];
    };
    const wanted = new Map(items.map(({ metadata }) => [`Pod/churn/${metadata.name}`, metadata] as const));
    await until(() => mirror.objects.size === wanted.size && mirror.objects.has('Pod/churn/late-2499'));
    await until(() =>
      [...wanted].every(([id, { uid, labels }]) => {
        const { metadata } = mirror.objects.get(id) ?? {};
        return metadata?.uid === uid && metadata.labels['generation'] === labels['generation'];
      }),
    );
    expect(wanted.size).toBe(5_000 - 834);
    await until(() => mirror.problem() === '');
  }, 180_000);

  test('elects one of its replicas by a Lease, with just the rights that our own manifests grant', async () => {
    await using proxy = await startTcpProxy({ host: '127.0.0.1', port: kube.port });
    const leading: string[] = [];
    const ends = new Map<string, AbortController>();
    using _ = { [Symbol.dispose]: () => ends.forEach((end) => end.abort()) };
    const stand = async (identity: string, server?: string): Promise<void> => {
      const end = new AbortController();
      ends.set(identity, end);
      const election = new LeaseElection({
        api: await open(server),
        namespace: 'isthmus-system',
        name: 'isthmus-apiserver',
        identity,
        clock: systemClock,
        log: silentLogger,
        leaseSeconds: 2,
        renewDeadlineMs: 1_500,
        retryMs: 200,
      });
      await election.run(end.signal, async (term) => {
        leading.push(identity);
        await new Promise<void>((resolve) => term.addEventListener('abort', () => resolve(), { once: true }));
        leading.splice(leading.indexOf(identity), 1);
      });
    };
    const first = stand('first', `https://127.0.0.1:${proxy.port}`).catch(() => 'stopped');
    await until(() => leading.includes('first'));
    const second = stand('second').catch(() => 'stopped');
    // The first one is cut off: it gives up by itself, and only then does the second one lead.
    await proxy.set('black-hole');
    await until(() => leading.includes('second'));
    expect(leading).toEqual(['second']);
    await proxy.set('pass');
    // An orderly end hands it back without waiting for the Lease to run out.
    ends.get('second')?.abort();
    expect(await second).toBe('stopped');
    await until(() => leading.includes('first'));
    ends.get('first')?.abort();
    expect(await first).toBe('stopped');
    const { json } = await kube.call(
      'GET',
      '/apis/coordination.k8s.io/v1/namespaces/isthmus-system/leases/isthmus-apiserver',
    );
    expect(json).toMatchObject({ spec: { leaseTransitions: 2 } });
    expect((json as { spec: { holderIdentity?: string } }).spec.holderIdentity ?? '').toBe('');
  }, 120_000);
});
