import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { type ApiServer, type KubernetesKind, followedKinds, openApiServer } from '../../../kubernetes/index.ts';
import { systemClock } from '../../../runtime/clock/index.ts';
import { TestAuthority } from '../../support/certificates.ts';
import { type KubeProcess, startKube } from '../../support/kube.ts';
import { ciliumCrds, serviceExportCrd } from '../../support/kube-crds.ts';
import { needs } from '../../support/probe.ts';
import { SourceMirror } from '../../support/source-mirror.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';

const manifest = (name: string): string =>
  readFileSync(new URL(`../../../deploy/kubernetes/${name}`, import.meta.url), 'utf8');
const sample = readFileSync(new URL('../../fixtures/cilium/cilium-state-objects.yaml', import.meta.url), 'utf8');
const account = 'system:serviceaccount:isthmus-system:isthmus-apiserver';
const kinds = followedKinds({ mode: 'kubernetes', serviceExports: false });

needs('kube', 'etcd')('A source over a real kube-apiserver', () => {
  let kube: KubeProcess;
  let folder: string;

  beforeAll(async () => {
    kube = await startKube({ tokens: { [account]: 'apiserver-token' } });
    await kube.apply(manifest('rbac.yaml'));
    await kube.apply('{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: red}}}');
    // The first time a machine does this, the servers are built before.
  }, 1_500_000);
  afterAll(async () => kube[Symbol.asyncDispose](), 60_000);
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'isthmus-kubeconfig-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const open = (
    user: { token?: string; tokenFile?: string } = { token: 'apiserver-token' },
    server?: string,
  ): Promise<ApiServer> => openApiServer({ kubeconfig: kube.kubeconfig('test', user, server), clock: systemClock });
  const node = (name: string): string => `
apiVersion: v1
kind: Node
metadata: {name: ${name}, labels: {topology.kubernetes.io/zone: z1}}
spec: {podCIDR: 10.1.0.0/24, podCIDRs: [10.1.0.0/24]}
status: {addresses: [{type: InternalIP, address: 172.18.0.2}], conditions: [{type: Ready, status: "True"}]}
`;
  const pod = (name: string, label = 'web'): string => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: shop, labels: {app: ${label}}}
spec: {nodeName: n1, containers: [{name: c, image: x, ports: [{name: http, containerPort: 8080}]}]}
`;

  test('reads every kind with just the rights that our own manifests grant', async () => {
    await using mirror = new SourceMirror(await open(), kinds);
    await until(() => mirror.isSynced);
    await kube.apply(node('n1'));
    await kube.apply(pod('web-1'));
    await kube.apply(`
apiVersion: v1
kind: Service
metadata: {name: front, namespace: shop, annotations: {service.cilium.io/global: "true"}}
spec: {ports: [{name: http, port: 80, targetPort: http}], selector: {app: web}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: front-1, namespace: shop, labels: {kubernetes.io/service-name: front}}
addressType: IPv4
endpoints: [{addresses: [10.1.0.5], conditions: {ready: true}, nodeName: n1}]
ports: [{name: http, port: 8080, protocol: TCP}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress]}
`);
    await until(() => mirror.has('NetworkPolicy', 'shop', 'deny') && mirror.has('EndpointSlice', 'shop', 'front-1'));
    await until(
      () => (mirror.objects.get('Node//n1') as { status?: { ready: boolean } } | undefined)?.status?.ready === true,
    );
    expect(mirror.objects.get('Pod/shop/web-1')).toMatchObject({
      metadata: { namespace: 'shop', labels: { app: 'web' }, uid: expect.stringMatching(/^[0-9a-f-]{36}$/) },
      spec: { nodeName: 'n1', serviceAccountName: 'default', ports: [{ name: 'http', containerPort: 8080 }] },
    });
    expect(mirror.objects.get('Service/shop/front')).toMatchObject({
      spec: { clusterIPs: [expect.stringMatching(/^10\.96\./)], sessionAffinity: 'None' },
    });
    expect(mirror.objects.get('NetworkPolicy/shop/deny')).toMatchObject({
      generation: 1,
      spec: { podSelector: {}, policyTypes: ['Ingress'] },
    });
    expect(mirror.problem()).toBe('');
    await kube.remove({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web-1', namespace: 'shop' } });
    await until(() => mirror.deleted.includes('Pod/shop/web-1'));
  });

  test('names the resource and the rule that a missing right takes away, and reads on when it is back', async () => {
    const role =
      manifest('rbac.yaml')
        .split('---')
        .find((text) => text.includes('kind: ClusterRole\n')) ?? '';
    await kube.apply(role.replace('nodes, pods', 'nodes'));
    // The authorizer follows roles by a watch of its own.
    await until(
      async () => (await kube.call('GET', '/api/v1/pods', undefined, { token: 'apiserver-token' })).status === 403,
    );
    await using mirror = new SourceMirror(await open(), kinds);
    await until(() => mirror.synced.size === kinds.length - 1 && mirror.problem() !== '');
    expect(mirror.synced.has('Pod')).toBe(false);
    expect(mirror.problem()).toMatch(
      /^pods: .*cannot list resource "pods".*apiGroups: \[""\], resources: \[pods\], verbs: \[list, watch\]/,
    );
    await kube.apply(role);
    await until(() => mirror.isSynced && mirror.problem() === '');
  });

  test('refuses a rejected token by name, takes nothing for empty, and reads the file again', async () => {
    await kube.apply(pod('token-1'));
    const tokenFile = join(folder, 'token');
    writeFileSync(tokenFile, 'nonsense\n');
    await using mirror = new SourceMirror(await open({ tokenFile }), kinds);
    await until(() => mirror.problem().split('\n').length === kinds.length);
    expect(mirror.problem()).toContain('pods: Cannot list pods: Unauthorized (401 Unauthorized)');
    expect(mirror.problem()).not.toContain('nonsense');
    expect(mirror.synced.size).toBe(0);
    writeFileSync(tokenFile, 'apiserver-token\n');
    await until(() => mirror.isSynced && mirror.problem() === '');
    expect(mirror.has('Pod', 'shop', 'token-1')).toBe(true);
    expect(mirror.deleted).toEqual([]);
  });

  test('comes as the pod that it is, with a token that Kubernetes gave out and an authority that it checks', async () => {
    const given = await kube.call('POST', '/api/v1/namespaces/isthmus-system/serviceaccounts/isthmus-apiserver/token', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { audiences: ['https://kubernetes.default.svc'], expirationSeconds: 3_600 },
    });
    writeFileSync(join(folder, 'token'), (given.json as { status: { token: string } }).status.token);
    writeFileSync(join(folder, 'ca.crt'), readFileSync(kube.caFile));
    writeFileSync(join(folder, 'namespace'), 'isthmus-system');
    const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(kube.port) };
    const api = await openApiServer({ clock: systemClock, env, serviceAccountRoot: folder });
    expect(api.namespace).toBe('isthmus-system');
    await using mirror = new SourceMirror(api, kinds);
    await until(() => mirror.isSynced && mirror.problem() === '');
    writeFileSync(join(folder, 'ca.crt'), new TestAuthority('another').cert);
    await using stranger = new SourceMirror(
      await openApiServer({ clock: systemClock, env, serviceAccountRoot: folder }),
      kinds,
    );
    await until(() => stranger.problem().split('\n').length === kinds.length);
    expect(stranger.problem()).toMatch(/pods: .*(self-signed certificate|unable to verify)/);
    expect(stranger.synced.size).toBe(0);
  });

  /** Counts the listings of pods. */
  const counting = (api: ApiServer): { readonly api: ApiServer; readonly listings: () => number } => {
    let listings = 0;
    const request: ApiServer['request'] = (method, path, options) => {
      if (path.startsWith('/api/v1/pods?limit')) listings += 1;
      return api.request(method, path, options);
    };
    return { api: { ...api, request }, listings: () => listings };
  };

  test('goes on with its watches after the API server was started again, without listing anything twice', async () => {
    await kube.apply(pod('restart-1'));
    const { api, listings } = counting(await open());
    await using mirror = new SourceMirror(api, kinds);
    await until(() => mirror.isSynced);
    await kube.kill();
    await kube.restart();
    await kube.remove({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'restart-1', namespace: 'shop' } });
    await kube.apply(pod('restart-2'));
    await until(() => mirror.has('Pod', 'shop', 'restart-2') && mirror.deleted.includes('Pod/shop/restart-1'));
    expect(mirror.deleted).toEqual(['Pod/shop/restart-1']);
    expect(listings()).toBe(1);
    await until(() => mirror.problem() === '');
  }, 120_000);

  test('lists again what the API server does not remember (410): what is gone comes as deletes, the rest is not told twice', async () => {
    for (const name of ['gone-1', 'gone-2', 'gone-3']) await kube.apply(pod(name));
    await using proxy = await startTcpProxy({ host: '127.0.0.1', port: kube.port });
    const { api, listings } = counting(await open(undefined, `https://127.0.0.1:${proxy.port}`));
    await using mirror = new SourceMirror(api, kinds, 2);
    await until(() => mirror.isSynced);
    const before = listings();
    const kept = mirror.objects.get('Pod/shop/gone-2');
    await proxy.set('refuse');
    proxy.cut();
    await kube.remove({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'gone-1', namespace: 'shop' } });
    await kube.apply(pod('gone-3', 'changed'));
    await kube.apply(pod('gone-4'));
    // A server that was started anew remembers nothing older than itself.
    await kube.restart();
    await proxy.set('pass');
    await until(() => mirror.has('Pod', 'shop', 'gone-4') && mirror.deleted.includes('Pod/shop/gone-1'));
    expect(mirror.deleted).toEqual(['Pod/shop/gone-1']);
    expect(mirror.objects.get('Pod/shop/gone-2')).toBe(kept);
    expect(mirror.objects.get('Pod/shop/gone-3')?.metadata.labels['app']).toBe('changed');
    expect(listings()).toBeGreaterThan(before + 1);
    await until(() => mirror.problem() === '');
  }, 120_000);

  test('lives with a slow API server, and with a connection that is cut', async () => {
    await using proxy = await startTcpProxy({ host: '127.0.0.1', port: kube.port });
    proxy.delay(150);
    await using mirror = new SourceMirror(await open(undefined, `https://127.0.0.1:${proxy.port}`), kinds);
    await until(() => mirror.isSynced);
    proxy.cut();
    await kube.apply(pod('slow-1'));
    await until(() => mirror.has('Pod', 'shop', 'slow-1'));
    expect(mirror.deleted).toEqual([]);
  });

  test('waits for definitions of custom resources by name, and reads what Cilium keeps once they are there', async () => {
    await kube.apply(manifest('rbac-cilium.yaml'));
    await using mirror = new SourceMirror(await open(), followedKinds({ mode: 'cilium' }));
    await until(() => mirror.synced.size === 3 && mirror.problem().split('\n').length === 4);
    expect(mirror.problem()).toContain(
      'The API server serves no ciliumnodes of cilium.io/v2. Install its definition (CRD)',
    );
    expect(mirror.problem()).toContain('multicluster.x-k8s.io/v1beta1 or multicluster.x-k8s.io/v1alpha1');
    await kube.apply(ciliumCrds + serviceExportCrd('v1alpha1'));
    await kube.apply('{apiVersion: v1, kind: Namespace, metadata: {name: mail}}');
    await kube.apply(sample.replaceAll('multicluster.x-k8s.io/v1beta1', 'multicluster.x-k8s.io/v1alpha1'));
    await until(() => mirror.isSynced && mirror.problem() === '');
    const count = (kind: KubernetesKind): number =>
      [...mirror.objects.values()].filter((object) => object.kind === kind).length;
    const expected = { CiliumNode: 3, CiliumIdentity: 10, CiliumEndpoint: 20, ServiceExport: 4 };
    await until(() => Object.entries(expected).every(([kind, many]) => count(kind as KubernetesKind) === many));
    expect(mirror.objects.get('CiliumEndpoint/shop/amber-dc36f-ember')).toMatchObject({
      status: { identity: 209531, namedPorts: [{ name: 'http' }, { name: 'dns' }] },
    });
    await kube.apply(manifest('rbac.yaml'));
  });
});
