import { mkdtemp, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  manifestFiles,
  normaliseObject,
  parseManifests,
  readManifests,
  toManifest,
} from '../../../kubernetes/index.ts';

const shop = fileURLToPath(new URL('../../../examples/online-boutique/kubernetes-manifests.yaml', import.meta.url));
const sample = fileURLToPath(new URL('../../fixtures/cilium/cilium-state-objects.yaml', import.meta.url));

describe('Manifests that others wrote', () => {
  test('of the online shop give Deployments and Services, and count what plays no role', async () => {
    const { objects, workloads, skipped, errors } = await readManifests([shop]);
    expect(errors).toEqual([]);
    expect(workloads.map((workload) => workload.kind)).toEqual(Array(12).fill('Deployment'));
    expect(objects.filter((object) => object.kind === 'Service')).toHaveLength(12);
    expect(Object.fromEntries(skipped)).toEqual({ ServiceAccount: 11 });
    const cart = workloads.find((workload) => workload.metadata.name === 'cartservice');
    expect(cart).toMatchObject({
      metadata: { namespace: 'default' },
      spec: {
        replicas: 1,
        selector: { matchLabels: { app: 'cartservice' } },
        template: {
          labels: { app: 'cartservice' },
          spec: {
            serviceAccountName: 'cartservice',
            hostNetwork: false,
            ports: [{ containerPort: 7070, protocol: 'TCP' }],
          },
        },
      },
    });
  });

  test('survive the way out and in again unchanged', async () => {
    const { objects } = await readManifests([shop, sample]);
    expect(objects.length).toBeGreaterThan(30);
    for (const object of objects)
      expect(normaliseObject(JSON.parse(JSON.stringify(toManifest(object))))).toEqual({ type: 'object', object });
  });

  test('of other API groups are skipped under their full name', () => {
    const text = 'apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: a}\n';
    expect(parseManifests('a.yaml', text)).toEqual({
      objects: [],
      workloads: [],
      skipped: new Map([['Service.serving.knative.dev', 1]]),
      errors: [],
      notes: [],
      places: new Map(),
    });
  });
});

describe('A file of several documents', () => {
  const service = (name: string, extra = ''): string =>
    `apiVersion: v1\nkind: Service\nmetadata:\n  name: ${name}\nspec:\n  ports:\n  - port: 80\n${extra}`;

  test('is read around a document that is no YAML', () => {
    const text = `${service('a')}---\n{{ if .Values.x }}\nkind: "\n---\n${service('b')}`;
    const { objects, errors } = parseManifests('mixed.yaml', text);
    expect(objects.map((object) => object.metadata.name)).toEqual(['a', 'b']);
    expect(errors).toEqual([
      expect.objectContaining({ file: 'mixed.yaml', document: 2, field: '', line: expect.any(Number) }),
    ]);
    expect(errors[0]?.message).toMatch(/^Not valid YAML: /);
  });

  test('counts documents without comments that stand between separators', () => {
    const text = `# a licence\n---\n# nothing here\n---\n${service('a')}--- # the next one\n${service('B')}`;
    expect(parseManifests('f.yaml', text)).toMatchObject({
      objects: [{ metadata: { name: 'a' } }],
      errors: [{ document: 2, field: 'metadata.name' }],
    });
  });

  test('may hold lists, of which one broken item does not spoil the others', () => {
    const text = JSON.stringify({
      apiVersion: 'v1',
      kind: 'List',
      items: [
        { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'x' } },
        { apiVersion: 'v1', kind: 'Service', metadata: { name: 'y' }, spec: { ports: [{ port: 0 }] } },
        { apiVersion: 'v1', kind: 'PodList', items: [{ metadata: { name: 'z' }, spec: { containers: [] } }] },
      ],
    });
    const { objects, errors } = parseManifests('list.json', text);
    expect(objects.map((object) => `${object.kind} ${object.metadata.name}`)).toEqual(['Namespace x', 'Pod z']);
    expect(errors).toMatchObject([{ document: 1, field: 'items[1].spec.ports[0].port' }]);
  });

  test.each([
    {
      what: 'a label that is no string',
      yaml: service('a').replace('name: a', 'name: a\n  labels: {v: 1.0}'),
      field: 'metadata.labels.v',
    },
    {
      what: 'a label that would be two in the text of an identity',
      yaml: 'apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {app: "x;k8s:role=admin"}}\n',
      field: 'metadata.labels.app',
    },
    {
      what: 'the same in the key of a label of a template',
      yaml: 'apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\nspec: {template: {metadata: {labels: {"a=b;c": d}}}}\n',
      field: 'spec.template.metadata.labels',
    },
    {
      what: 'the same in a service account',
      yaml: 'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {serviceAccountName: "x;k8s:role=admin"}\n',
      field: 'spec.serviceAccountName',
    },
    {
      what: 'a port that is a string',
      yaml: service('a').replace('port: 80', 'port: "80"'),
      field: 'spec.ports[0].port',
    },
    { what: 'a protocol in lower case', yaml: service('a', '    protocol: tcp\n'), field: 'spec.ports[0].protocol' },
    { what: 'a second port without a name', yaml: service('a', '  - port: 81\n'), field: 'spec.ports[0].name' },
    { what: 'a cluster IP that is none', yaml: service('a', '  clusterIP: 10.0.0.256\n'), field: 'spec.clusterIP' },
    { what: 'a missing name', yaml: 'apiVersion: v1\nkind: Namespace\nmetadata: {}\n', field: 'metadata.name' },
    { what: 'a missing kind', yaml: 'apiVersion: v1\nmetadata: {name: a}\n', field: 'kind' },
    {
      what: 'a pod CIDR with host bits',
      yaml: 'apiVersion: v1\nkind: Node\nmetadata: {name: a}\nspec: {podCIDRs: [10.0.0.1/24]}\n',
      field: 'spec.podCIDRs[0]',
    },
    {
      what: 'a selector that does not match its template',
      yaml: 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {selector: {matchLabels: {a: b}}, template: {}}\n',
      field: 'spec.template.metadata.labels',
    },
    { what: 'a scalar', yaml: 'just words\n', field: '' },
  ])('names the member at fault: $what', ({ yaml, field }) => {
    const { objects, workloads, errors } = parseManifests('f.yaml', yaml);
    expect({ objects, workloads }).toEqual({ objects: [], workloads: [] });
    expect(errors).toMatchObject([{ file: 'f.yaml', document: 1, field }]);
  });
});

describe('An object that is there twice', () => {
  const service = (port: number): string =>
    `apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {ports: [{port: ${port}}]}\n`;

  test('and differs is an error that names both places', () => {
    const { objects, errors } = parseManifests('f.yaml', `${service(80)}---\n${service(81)}`);
    expect(objects).toMatchObject([{ spec: { ports: [{ port: 80 }] } }]);
    expect(errors).toEqual([
      {
        file: 'f.yaml',
        document: 2,
        line: 5,
        field: 'metadata.name',
        message:
          'metadata.name: Service shop/web stands in f.yaml, document 1 (line 1) already, and differs: remove one of the two',
        about: { kind: 'Service', name: 'web', namespace: 'shop' },
      },
    ]);
  });

  test('the same in all that matters here is a note', () => {
    const { objects, errors, notes } = parseManifests('f.yaml', `${service(80)}---\n${service(80)}`);
    expect([objects.length, errors]).toEqual([1, []]);
    expect(notes).toMatchObject([
      { file: 'f.yaml', document: 2, message: expect.stringContaining('the same in all that matters here') },
    ]);
  });

  test('within a list is named by its item, and workloads count, too', () => {
    const item = (replicas: number): unknown => ({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'a' },
      spec: { replicas, selector: { matchLabels: { a: 'b' } }, template: { metadata: { labels: { a: 'b' } } } },
    });
    const text = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [item(1), item(2)] });
    expect(parseManifests('l.json', text)).toMatchObject({
      workloads: [{ spec: { replicas: 1 } }],
      errors: [{ field: 'items[1].metadata.name', message: expect.stringContaining('Deployment default/a stands in') }],
    });
  });

  test('may be of another namespace or kind', () => {
    const other = service(81).replace('shop', 'other');
    const pod = 'apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop}\n';
    const { objects, errors, notes } = parseManifests('f.yaml', [service(80), other, pod].join('---\n'));
    expect([objects.length, errors, notes]).toEqual([3, [], []]);
  });
});

describe('Members for other address families and for the host', () => {
  test('are read, for notes', () => {
    const text = `
apiVersion: v1
kind: Service
metadata: {name: a}
spec: {clusterIP: "fd00::1", clusterIPs: ["fd00::1", 10.0.0.1], ipFamilies: [IPv6, IPv4], ipFamilyPolicy: RequireDualStack, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: b}
spec: {containers: [{ports: [{containerPort: 80, hostPort: 8080}]}]}
status: {podIPs: [{ip: "FD00:0::2"}]}
`;
    expect(parseManifests('f.yaml', text)).toMatchObject({
      errors: [],
      objects: [
        {
          spec: {
            clusterIPs: ['fd00::1', '10.0.0.1'],
            ipFamilies: ['IPv6', 'IPv4'],
            ipFamilyPolicy: 'RequireDualStack',
          },
        },
        { spec: { ports: [{ hostPort: 8080 }] }, status: { podIPs: ['fd00::2'] } },
      ],
    });
  });

  test.each([
    { members: 'ipFamilies: [IPv5]', field: 'spec.ipFamilies[0]' },
    { members: 'ipFamilyPolicy: Both', field: 'spec.ipFamilyPolicy' },
    { members: 'clusterIPs: ["fd00::g"]', field: 'spec.clusterIPs[0]' },
  ])('are checked: $members', ({ members, field }) => {
    const text = `apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {${members}}\n`;
    expect(parseManifests('f.yaml', text).errors).toMatchObject([{ field }]);
  });
});

describe('A folder', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'isthmus-manifests-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  test('is read once where links lead back to it', async () => {
    await mkdir(join(folder, 'below'));
    await writeFile(join(folder, 'below', 'a.yaml'), '{apiVersion: v1, kind: Namespace, metadata: {name: a}}');
    for (const link of ['one', 'two', 'below/three', 'below/four']) await symlink(folder, join(folder, link));
    await symlink('below', join(folder, 'beside'));
    expect(await manifestFiles(folder)).toEqual(
      [join(folder, 'below', 'a.yaml'), join(folder, 'beside', 'a.yaml')].toSorted(),
    );
  });

  test('is read with what is below it, in order of names, without hidden and foreign files', async () => {
    const namespace = (name: string): string => `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}}\n`;
    await mkdir(join(folder, 'b'));
    await writeFile(join(folder, 'b', 'x.yml'), namespace('two'));
    await writeFile(join(folder, 'a.yaml'), namespace('one'));
    await writeFile(join(folder, 'c.json'), '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"three"}}');
    await writeFile(join(folder, '.hidden.yaml'), namespace('no'));
    await writeFile(join(folder, 'README.md'), namespace('no'));
    const { objects } = await readManifests([folder]);
    expect(objects.map((object) => object.metadata.name)).toEqual(['one', 'two', 'three']);
  });

  test('in which two files describe one object differently names both files', async () => {
    const namespace = (labels: string): string =>
      `apiVersion: v1\nkind: Namespace\nmetadata: {name: x, labels: {${labels}}}\n`;
    await writeFile(join(folder, 'a.yaml'), namespace(''));
    await writeFile(join(folder, 'b.yaml'), namespace('team: red'));
    const { objects, errors } = await readManifests([folder]);
    expect(objects).toMatchObject([{ metadata: { labels: {} } }]);
    expect(errors).toMatchObject([
      {
        file: join(folder, 'b.yaml'),
        document: 1,
        message: expect.stringContaining(`${join(folder, 'a.yaml')}, document 1`),
      },
    ]);
  });

  test('that does not exist is an error of the file system', async () => {
    await expect(readManifests([join(folder, 'none')])).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

test('Defaults are those of Kubernetes', () => {
  const text = `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: s, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1]}]
ports: [{port: 80}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: data}
spec:
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}, spec: {containers: [{ports: [{containerPort: 53, protocol: UDP, name: dns}]}]}}
`;
  expect(parseManifests('f.yaml', text)).toMatchObject({
    errors: [],
    objects: [
      {
        metadata: { namespace: 'default' },
        endpoints: [{ addresses: ['10.0.0.1'], conditions: { ready: true, serving: true, terminating: false } }],
        ports: [{ name: '', protocol: 'TCP', port: 80 }],
      },
    ],
    workloads: [
      {
        metadata: { namespace: 'data' },
        spec: {
          replicas: 1,
          template: {
            spec: { serviceAccountName: 'default', ports: [{ name: 'dns', containerPort: 53, protocol: 'UDP' }] },
          },
        },
      },
    ],
  });
});
