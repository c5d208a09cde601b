import { describe, expect, test } from '@jest/globals';
import { backendsFor, clientFor, planFailover, serviceTargets } from '../../../lab/checks/index.ts';
import type { PlacedPod, PlacedService } from '../../../lab/scheduler/index.ts';
import type { Service } from '../../../kubernetes/index.ts';
import { pod, service } from './objects.ts';

const clusters = ['east', 'west'];

/** `east/node-1/web-a` is a pod of the app `web`. */
function placed(path: string): PlacedPod {
  const [cluster = '', node = '', name = ''] = path.split('/');
  const [app = ''] = name.split('-');
  const one = pod(name, app);
  return { cluster, node, namespace: 'shop', name, ip: '10.0.0.1', pod: one };
}

function everywhere(one: Service, changes: Partial<PlacedService> = {}): PlacedService[] {
  return clusters.map((cluster, index) => ({
    cluster,
    global: true,
    shared: true,
    service: { ...one, spec: { ...one.spec, clusterIPs: [`10.128.${index}.1`] } },
    ...changes,
  }));
}

const pods = ['east/node-1/web-a', 'east/node-2/cli-a', 'west/node-1/web-b', 'west/node-2/cli-b'].map(placed);

describe('who may answer', () => {
  test.each([
    {
      what: 'a shared Service',
      services: everywhere(service('web')),
      east: ['web-a', 'web-b'],
      west: ['web-a', 'web-b'],
    },
    {
      what: 'one that is not shared',
      services: everywhere(service('web'), { shared: false }),
      east: ['web-a'],
      west: ['web-b'],
    },
    {
      what: 'one whose internal traffic stays on the node',
      services: everywhere(service('web', { internalTrafficPolicy: 'Local' })),
      east: [],
      west: [],
    },
  ])('of $what', ({ services, east, west }) => {
    const [target] = serviceTargets(services, pods);
    if (!target) throw new Error('no target');
    const names = (client: PlacedPod | undefined): string[] =>
      client ? backendsFor(target, client).map(({ name }) => name) : [];
    expect([names(pods[1]), names(pods[3])]).toEqual([east, west]);
  });

  test('a client is chosen that somebody may answer, rather not a backend itself', () => {
    const of = (services: PlacedService[], all = pods) =>
      clusters.map((cluster) => {
        const [target] = serviceTargets(services, all);
        return target && clientFor(target, cluster, all)?.name;
      });
    expect(of(everywhere(service('web')))).toEqual(['cli-a', 'cli-b']);
    expect(of(everywhere(service('web', { internalTrafficPolicy: 'Local' })))).toEqual(['web-a', 'web-b']);
    const eastOnly = pods.filter(({ name }) => name !== 'web-b');
    expect(of(everywhere(service('web'), { shared: false }), eastOnly)).toEqual(['cli-a', undefined]);
  });
});

describe('the plan of failovers', () => {
  const plan = (services: PlacedService[], all = pods) =>
    planFailover(serviceTargets(services, all), all).map(({ cases, stopping }) => ({
      cases: cases.map(({ target, stopped, client, address }) => `${target.name} ${stopped} ${client.name} ${address}`),
      stopping: [...stopping].map(({ name }) => name),
    }));

  test('stops the backends of the first cluster and calls from there', () => {
    expect(plan(everywhere(service('web')))).toEqual([{ cases: ['web east cli-a 10.128.0.1'], stopping: ['web-a'] }]);
  });

  test('calls from another cluster where every pod of the first stops', () => {
    const all = pods.filter(({ name }) => name !== 'cli-a');
    expect(plan(everywhere(service('web')), all)).toEqual([
      { cases: ['web east cli-b 10.128.1.1'], stopping: ['web-a'] },
    ]);
  });

  test('leaves out what cannot fail over', () => {
    expect(plan(everywhere(service('web'), { shared: false }))).toEqual([]);
    expect(plan(everywhere(service('web', { internalTrafficPolicy: 'Local' })))).toEqual([]);
    expect(plan(everywhere(service('web')), pods.slice(0, 2))).toEqual([]);
  });

  test('takes a few Services at a time, and all that stops at a time is of one cluster', () => {
    const names = Array.from({ length: 12 }, (_, index) => `s${index}`);
    const all = names.flatMap((name, index) => {
      const homes = index % 2 === 0 ? clusters : clusters.toReversed();
      return homes.map((cluster) => placed(`${cluster}/node-1/${name}-${cluster}`));
    });
    const rounds = planFailover(
      serviceTargets(
        names.flatMap((name) => everywhere(service(name))),
        all,
      ),
      all,
    );
    expect(rounds.map(({ cases }) => cases.length)).toEqual([5, 1, 5, 1]);
    for (const { stopping } of rounds) expect(new Set([...stopping].map(({ cluster }) => cluster)).size).toBe(1);
    expect(rounds.flatMap(({ cases }) => cases.map(({ target }) => target.name)).toSorted()).toEqual(names.toSorted());
  });
});
