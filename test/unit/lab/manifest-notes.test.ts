import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { serviceTargets } from '../../../lab/checks/index.ts';
import { planLab } from '../../../lab/plan/index.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-notes-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const deployment = (name: string, ports: string, more = ''): string => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}, namespace: shop}
spec:
  selector: {matchLabels: {app: ${name}}}
  template:
    metadata: {labels: {app: ${name}}}
    spec: {${more}containers: [{ports: [${ports}]}]}
`;
const web = deployment('web', '{name: http, containerPort: 8080}');
const service = (spec: string): string =>
  `apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {${spec}}\n`;

async function plan(text: string, topology?: string) {
  const file = join(folder, 'm.yaml');
  writeFileSync(file, text);
  const topologyFile = join(folder, 't.yaml');
  if (topology !== undefined) writeFileSync(topologyFile, topology);
  return await planLab({ name: 'notes', manifests: [file], ...(topology === undefined ? {} : { topologyFile }) });
}

/** Notes without the folder's name. */
async function notes(text: string, topology?: string): Promise<string[]> {
  return (await plan(text, topology)).warnings.map((warning) => warning.replaceAll(`${folder}/`, ''));
}

describe('a Service in manifests', () => {
  const ports = 'selector: {app: web}, ports: [{port: 80, targetPort: http}]';

  test('of which everything is done gives no note', async () => {
    const done = 'sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}';
    const policies = 'internalTrafficPolicy: Local, externalTrafficPolicy: Local, publishNotReadyAddresses: true';
    expect(
      await notes(
        `${web}---\n${service(`${ports}, ${done}, ${policies}, ipFamilies: [IPv4], ipFamilyPolicy: SingleStack`)}`,
      ),
    ).toEqual([]);
  });

  test.each([
    {
      spec: 'type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: 30080, targetPort: http}]',
      says: ['spec.ports[0].nodePort: Service shop/web: NodePort 30080 is not served: port 80 of the ClusterIP is'],
    },
    {
      spec: `type: NodePort, ${ports}`,
      says: ['spec.type: Service shop/web: NodePorts are not served: the ClusterIP is'],
    },
    {
      spec: `type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.0/8], ${ports}`,
      says: [
        'spec.type: Service shop/web: the lab has no load balancer to give an address: the ClusterIP is served',
        'spec.loadBalancerSourceRanges: Service shop/web: not applied: whoever reaches the address is served',
      ],
    },
    {
      spec: `externalIPs: [192.0.2.7], ${ports}`,
      says: [
        'spec.externalIPs: Service shop/web: 192.0.2.7: served to pods of the mesh only, nothing outside the lab comes in',
      ],
    },
    {
      spec: 'type: ExternalName, externalName: example.org',
      says: [
        'spec.type: Service shop/web: an ExternalName is an entry of DNS, which the lab does not have: it plays no role',
      ],
    },
    {
      spec: `clusterIP: None, ${ports}`,
      says: [
        'spec.clusterIP: Service shop/web: headless: it has no address, and the lab no DNS to name its pods; nobody calls it',
      ],
    },
    {
      spec: `clusterIP: 10.96.0.9, ${ports}`,
      says: ["spec.clusterIPs: Service shop/web: 10.96.0.9: replaced by an address of each cluster's serviceCIDR"],
    },
    {
      spec: `ipFamilies: [IPv6, IPv4], ipFamilyPolicy: RequireDualStack, externalIPs: ["fd00::1"], ${ports}`,
      says: [
        'spec.externalIPs: Service shop/web: fd00::1: served to pods of the mesh only, nothing outside the lab comes in',
        'spec.ipFamilies: Service shop/web: IPv6, IPv4: the lab is IPv4 only, so is the Service',
        'spec.externalIPs: Service shop/web: fd00::1: IPv6 is not served',
      ],
    },
    {
      spec: `ipFamilyPolicy: PreferDualStack, ${ports}`,
      says: ['spec.ipFamilyPolicy: Service shop/web: PreferDualStack: the lab is IPv4 only, so is the Service'],
    },
    {
      spec: `trafficDistribution: PreferClose, ${ports}`,
      says: [
        'spec.trafficDistribution: Service shop/web: PreferClose: not applied, every backend is as near as any other',
      ],
    },
    {
      spec: 'selector: {app: web}, ports: [{name: a, port: 80, targetPort: http}, {name: s, port: 90, protocol: SCTP}]',
      says: ['spec.ports[1].protocol: Service shop/web: port 90 is not served: SCTP is not translated'],
    },
    {
      spec: 'ports: [{port: 80}]',
      says: ['spec.selector: Service shop/web: neither a selector nor an EndpointSlice: it refuses every call'],
    },
    {
      spec: 'selector: {app: nobody}, ports: [{port: 80}]',
      says: ['spec.selector: Service shop/web: its selector matches no pod: it refuses every call'],
    },
    { spec: 'selector: {app: web}', says: ['spec.ports: Service shop/web: there is none to call'] },
    {
      spec: 'selector: {app: web}, ports: [{port: 80, targetPort: admin}]',
      says: [
        'spec.ports[0].targetPort: Service shop/web: "admin" (TCP) names a container port of none of the 1 selected pods: port 80 refuses every call',
      ],
    },
    {
      spec: 'selector: {app: web}, ports: [{port: 80, targetPort: 9999}]',
      says: [
        "spec.ports[0].targetPort: Service shop/web: 9999 (TCP) is a container port of none of the 1 selected pods: the lab's pods listen on declared ports",
      ],
    },
  ])('with "$spec" is named with file, document and field', async ({ spec, says }) => {
    expect(await notes(`${web}---\n${service(spec)}`)).toEqual(
      says.map((text) => `m.yaml: document 2 (line 10): ${text}`),
    );
  });

  test('whose named target port only some pods have calls those, and says so', async () => {
    const both = deployment('old', '{containerPort: 8080}').replaceAll('app: old', 'app: web');
    const { services, pods, warnings } = await plan(`${web}---\n${both}---\n${service(ports)}`);
    expect(warnings).toEqual([
      expect.stringMatching(/document 3 .*"http" \(TCP\) names a container port of 1 of the 2 selected pods only/),
    ]);
    expect(
      serviceTargets(services, pods).map(({ backends }) => backends.map(({ name }) => name.split('-')[0])),
    ).toEqual([['web']]);
  });

  test('whose target port nobody has is not called', async () => {
    const { services, pods } = await plan(
      `${web}---\n${service('selector: {app: web}, ports: [{port: 80, targetPort: admin}]')}`,
    );
    expect(serviceTargets(services, pods)).toEqual([]);
  });
});

describe('other objects in manifests', () => {
  test('of the host’s network, with host ports or SCTP say what the lab does instead', async () => {
    const text = deployment(
      'web',
      '{containerPort: 8080, hostPort: 80}, {containerPort: 9, protocol: SCTP}',
      'hostNetwork: true, ',
    );
    expect(await notes(text)).toEqual([
      "m.yaml: document 1 (line 1): spec.template.spec.hostNetwork: Deployment shop/web: the lab gives the pod a namespace and an address of its own, not its node's",
      "m.yaml: document 1 (line 1): spec.template.spec.containers: Deployment shop/web: hostPort 80 is not served: port 8080 of the pod's own address is",
      "m.yaml: document 1 (line 1): spec.template.spec.containers: Deployment shop/web: port 9: the lab's pods do not listen on SCTP",
    ]);
  });

  test('that come from another cluster say what the lab replaces', async () => {
    const list = JSON.stringify({
      apiVersion: 'v1',
      kind: 'List',
      items: [
        { apiVersion: 'v1', kind: 'Node', metadata: { name: 'worker' } },
        {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: 'bare' },
          spec: { nodeName: 'worker', containers: [] },
          status: { podIPs: [{ ip: '10.9.0.1' }, { ip: 'fd00::9' }] },
        },
        {
          apiVersion: 'discovery.k8s.io/v1',
          kind: 'EndpointSlice',
          metadata: { name: 'six', labels: { 'kubernetes.io/service-name': 'gone' } },
          addressType: 'IPv6',
          endpoints: [{ addresses: ['fd00::9'] }],
        },
        { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { name: 'lost' }, addressType: 'IPv4' },
        { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' } },
      ],
    });
    expect(await notes(list)).toEqual([
      'm.yaml: document 1 (line 1): items[0].kind: Node worker: the lab makes the nodes that the topology names: this one plays no role',
      'm.yaml: document 1 (line 1): items[1].spec.nodeName: Pod default/bare: worker is no node of the lab: the pod is placed elsewhere',
      "m.yaml: document 1 (line 1): items[1].status.podIPs: Pod default/bare: 10.9.0.1, fd00::9: replaced by an address of the pod's node (IPv4)",
      'm.yaml: document 1 (line 1): items[2].addressType: EndpointSlice default/six: IPv6 is not served: the lab is IPv4 only',
      'm.yaml: document 1 (line 1): items[2].metadata.labels: EndpointSlice default/six: kubernetes.io/service-name: there is no Service default/gone',
      'm.yaml: document 1 (line 1): items[3].metadata.labels: EndpointSlice default/lost: kubernetes.io/service-name is missing: the slice belongs to no Service',
      '1 × Secret: plays no role here, skipped',
    ]);
  });

  test('that are there twice, the same in all that matters, are noted; that differ are refused with both places', async () => {
    expect(await notes(`${web}---\n${web}`)).toEqual([
      expect.stringMatching(
        /^m\.yaml: document 2 .*Deployment shop\/web stands in m\.yaml, document 1 .*the same in all that matters here$/,
      ),
    ]);
    await expect(plan(`${web}---\n${deployment('web', '{containerPort: 1}')}`)).rejects.toThrow(
      /m\.yaml: document 2 \(line \d+\): metadata\.name: Deployment shop\/web stands in .*m\.yaml, document 1 \(line 1\) already, and differs/,
    );
  });

  test('replicas of a DaemonSet in a topology are named with the topology’s field', async () => {
    const text = web.replace('Deployment', 'DaemonSet');
    expect(await notes(text, 'workloads: { shop/web: { east: 3, west: 2 } }')).toEqual([
      't.yaml: workloads["shop/web"].east: a DaemonSet runs once on each of the 2 nodes (0: on none), not 3 times',
    ]);
  });

  test('a namespace that is not global says so, and its Services are of one cluster', async () => {
    const annotations = 'annotations: {clustermesh.cilium.io/global: "false"}';
    const namespace = `---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop, ${annotations}}\n`;
    const { services, warnings } = await plan(
      `${web}---\n${service('selector: {app: web}, ports: [{port: 80, targetPort: http}]')}${namespace}`,
    );
    expect(services.map(({ cluster, global }) => [cluster, global])).toEqual([['east', false]]);
    expect(warnings).toEqual([
      expect.stringMatching(
        /document 3 .*Namespace shop: not global: its Services have the backends of their own cluster only$/,
      ),
    ]);
  });

  test('a Job says that its pods do not end', async () => {
    const job = web.replace('apps/v1', 'batch/v1').replace('Deployment', 'Job');
    expect(await notes(job)).toEqual([
      "m.yaml: document 1 (line 1): kind: Job shop/web: a Job's pods serve like any other, and never end",
    ]);
  });
});
