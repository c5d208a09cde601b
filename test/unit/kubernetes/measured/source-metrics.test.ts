import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  type KubernetesObject,
  MemorySource,
  type Pod,
  kubernetesSource,
  measureSource,
  sourceMetrics,
} from '../../../../kubernetes/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { type Metrics, createMetrics } from '../../../../runtime/metrics/index.ts';
import { FakeApiServer, type RawObject, refusal } from '../../../support/fake-api-server.ts';
import { until } from '../../../support/until.ts';

const pods = '/api/v1/pods';

function pod(name: string, labels: Record<string, string> = {}): RawObject {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'shop', labels }, spec: {} };
}

/** Samples of Kubernetes alone, without the prefix that all of them have. */
async function samples(metrics: Metrics): Promise<string[]> {
  const lines = (await metrics.text()).split('\n').filter((line) => line.startsWith('isthmus_kubernetes_'));
  return lines.map((line) => line.slice('isthmus_kubernetes_'.length)).toSorted();
}

describe('The metrics of an API server', () => {
  let clock: VirtualClock;
  let metrics: Metrics;
  let api: FakeApiServer;
  let stop: AbortController;
  let heard: number;
  let done: Promise<void>;

  beforeEach(() => {
    clock = new VirtualClock();
    metrics = createMetrics({ prefix: 'isthmus_' });
    api = new FakeApiServer(pods);
    stop = new AbortController();
    heard = 0;
  });
  afterEach(async () => {
    stop.abort();
    await done;
  });

  const start = (): void => {
    const reported = sourceMetrics(metrics, clock);
    const source = measureSource(
      kubernetesSource({ api, kinds: ['Pod'], clock, random: () => 0, observer: reported }),
      reported,
    );
    done = (async () => {
      for await (const _ of source.watch(stop.signal)) heard += 1;
    })();
  };
  const settle = async (holds: () => boolean | Promise<boolean>): Promise<void> =>
    await until(holds, () => clock.advance(100));
  const sample = async (name: string): Promise<number> => {
    const found = (await samples(metrics)).find((line) => line.startsWith(`${name} `));
    return Number(found?.slice(name.length + 1) ?? Number.NaN);
  };

  test('tell what is known, by kind, and how it changed', async () => {
    for (const name of ['a', 'b', 'c']) api.set(pods, pod(name));
    start();
    await settle(() => heard === 4 && api.watches === 1);
    api.set(pods, pod('a', { changed: 'yes' }));
    api.delete(pods, 'shop', 'b');
    await settle(() => heard === 6);
    expect((await samples(metrics)).filter((line) => !line.startsWith('last_'))).toEqual([
      'events_total{kind="Pod",action="create"} 3',
      'events_total{kind="Pod",action="delete"} 1',
      'events_total{kind="Pod",action="modify"} 1',
      'initial_sync_completed{kind="Pod"} 1',
      'listings_total{kind="Pod"} 1',
      'objects{kind="Pod"} 2',
    ]);
  });

  test('tell an age of the last change, and one of the last sign of life', async () => {
    api.set(pods, pod('a'));
    start();
    await settle(() => heard === 2 && api.watches === 1);
    await clock.advance(60_000);
    api.bookmark();
    await settle(async () => (await sample('last_contact_age_seconds{kind="Pod"}')) < 10);
    expect(await sample('last_event_age_seconds{kind="Pod"}')).toBeGreaterThanOrEqual(60);
  });

  test('count listings that have to be repeated, and what went wrong, by reason', async () => {
    api.set(pods, pod('a'));
    start();
    await settle(() => heard === 2 && api.watches === 1);
    api.endWatches('cut');
    api.set(pods, pod('b'));
    api.forget();
    await settle(() => heard === 3 && api.watches === 1);
    expect(await sample('listings_total{kind="Pod"}')).toBe(2);
    expect(await sample('watch_errors_total{kind="Pod",reason="unreachable"}')).toBe(1);
    expect(await sample('watch_errors_total{kind="Pod",reason="expired"}')).toBe(1);
  });

  test.each([
    [401, 'unauthorized'],
    [403, 'forbidden'],
    [404, 'not-found'],
    [429, 'throttled'],
    [500, 'refused'],
  ])('name an answer of status %i as %s, and nothing is synced', async (status, reason) => {
    api.answering = () => refusal(status, 'Whatever', 'no');
    start();
    await settle(async () => (await sample(`watch_errors_total{kind="Pod",reason="${reason}"}`)) > 1);
    expect(await sample('initial_sync_completed{kind="Pod"}')).toBe(0);
    expect(await sample('objects{kind="Pod"}')).toBe(0);
  });
});

test('Any source has them as long as it is read; one that is read anew is counted anew', async () => {
  const clock = new VirtualClock();
  const metrics = createMetrics({ prefix: 'isthmus_' });
  const memory = new MemorySource('memory', ['Pod']);
  const source = measureSource(memory, sourceMetrics(metrics, clock));
  const object = (name: string): KubernetesObject => ({ kind: 'Pod', metadata: { namespace: 'shop', name } }) as Pod;
  for (const name of ['a', 'b']) memory.set(object(name));
  memory.markSynced();
  const gauges = async (): Promise<string[]> =>
    (await samples(metrics)).filter((line) => !line.startsWith('events_total'));
  const read = async (): Promise<string[]> => {
    const stop = new AbortController();
    let found: string[] = [];
    for await (const event of source.watch(stop.signal)) {
      if (event.type !== 'synced') continue;
      found = await gauges();
      stop.abort();
    }
    return found;
  };
  const has = (objects: number): string[] => [
    'initial_sync_completed{kind="Pod"} 1',
    'last_event_age_seconds{kind="Pod"} 0',
    `objects{kind="Pod"} ${objects}`,
  ];
  expect(await read()).toEqual(has(2));
  expect(await gauges()).toEqual([]);
  memory.delete('Pod', 'shop', 'b');
  expect(await read()).toEqual(has(1));
});
