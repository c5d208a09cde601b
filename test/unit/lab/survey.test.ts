import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { surveyServices } from '../../../lab/checks/index.ts';
import { planLab } from '../../../lab/plan/index.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-survey-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const web = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: none, ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: byhand-1, namespace: shop, labels: {kubernetes.io/service-name: byhand}}
addressType: IPv4
endpoints: [{addresses: [192.0.2.1]}, {addresses: [192.0.2.2], conditions: {ready: false}}]
ports: [{name: '', port: 80}]
`;

/** What the report says of one Service of this spec. */
async function survey(name: string, spec: string) {
  const file = join(folder, 'm.yaml');
  const service = `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: shop}\nspec: {${spec}}\n`;
  await writeFile(file, `${web}---\n${service}`);
  const plan = await planLab({ name: 'x', manifests: [file] });
  const found = surveyServices({ ...plan, clusters: plan.topology.clusters.map((cluster) => cluster.name) });
  expect(found).toHaveLength(1);
  return found[0];
}

describe('the survey of Services', () => {
  test('has the one that can be called with its target and its backends in every cluster', async () => {
    expect(await survey('web', 'selector: {app: web}, ports: [{port: 80, targetPort: http}]')).toMatchObject({
      namespace: 'shop',
      name: 'web',
      global: true,
      backends: { east: 2, west: 1 },
      target: { port: 80, protocol: 'TCP' },
    });
  });

  test.each([
    {
      name: 'headless',
      spec: 'clusterIP: None, selector: {app: web}, ports: [{port: 80, targetPort: http}]',
      backends: { east: 2, west: 1 },
      why: 'headless',
    },
    {
      name: 'portless',
      spec: 'clusterIP: None, selector: {app: web}',
      backends: { east: 2, west: 1 },
      why: 'headless',
    },
    { name: 'dns', spec: 'type: ExternalName, externalName: example.org', backends: { east: 0, west: 0 }, why: 'DNS' },
    { name: 'byhand', spec: 'ports: [{port: 80}]', backends: { east: 1, west: 0 }, why: 'given by hand' },
    { name: 'nothing', spec: 'ports: [{port: 80}]', backends: { east: 0, west: 0 }, why: 'neither a selector nor' },
    {
      name: 'nobody',
      spec: 'selector: {app: nobody}, ports: [{port: 80}]',
      backends: { east: 0, west: 0 },
      why: 'no running pod is selected',
    },
    {
      name: 'sctp',
      spec: 'selector: {app: web}, ports: [{port: 80, targetPort: http, protocol: SCTP}]',
      backends: { east: 0, west: 0 },
      why: 'no TCP or UDP port',
    },
    {
      name: 'elsewhere',
      spec: 'selector: {app: web}, ports: [{port: 80, targetPort: 9999}]',
      backends: { east: 0, west: 0 },
      why: 'answers on one of its ports',
    },
  ])('has a $name Service with its true backends, and why it is not asked', async ({ name, spec, backends, why }) => {
    const found = await survey(name, spec);
    expect(found).toMatchObject({ namespace: 'shop', name, backends, notAsked: expect.stringContaining(why) });
    expect(found).not.toHaveProperty('target');
  });
});
