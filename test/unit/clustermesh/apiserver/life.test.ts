import { describe, expect, test } from '@jest/globals';
import { ownSetKey } from '../../../../clustermesh/index.ts';
import { kubernetesKinds } from '../../../../kubernetes/index.ts';
import { InvalidRequestError, toText } from '../../../../kvstore/index.ts';
import { Harness, node, service, shop } from './harness.ts';

const services = 'cilium/state/services/v1/east/';
const workloads = 'isthmus/v1/workloads/';
const canaries = 'cilium/synced/east/cilium/state/';

describe('Canaries', () => {
  test('come each when its kind has been listed, those of nodes and addresses when the agents have said so', async () => {
    await using it = new Harness();
    it.add(...shop(), ...node('n2', false));
    await it.start();
    // Nothing is exported there, and that is certain at once.
    expect(await it.keys(canaries)).toEqual(['serviceexports/v1']);
    expect(it.apiserver.status().waitingFor).toContain('listing of Pod');
    it.source.markSynced(kubernetesKinds.filter((kind) => kind !== 'Pod'));
    await it.settle();
    const exported = ['serviceexports/v1', 'services/v1'];
    expect(await it.keys(canaries)).toEqual(['endpointslices/v1', ...exported]);
    expect(await it.keys('isthmus/v1/synced/')).toEqual(['endpoints', 'namespaces', 'nodes', 'policies', 'services']);
    it.source.markSynced(['Pod']);
    await it.settle();
    expect(await it.keys(canaries)).toEqual(['endpointslices/v1', 'identities/v1', ...exported]);
    expect(it.apiserver.status()).toMatchObject({ ready: false, waitingFor: ['own-set of node n1'] });
    await it.store.put(ownSetKey('n1'), 'now');
    await it.settle();
    const all = ['endpointslices/v1', 'identities/v1', 'ip/v1', 'nodes/v1', ...exported];
    expect(await it.keys(canaries)).toEqual(all);
    // Not ready and without a word: it holds nothing back, but is named.
    expect(it.apiserver.status()).toMatchObject({ ready: true, waitingFor: [], silentNodes: ['n2'] });
    await it.store.put(ownSetKey('n2'), 'now');
    await it.settle();
    expect(it.apiserver.status().silentNodes).toEqual([]);
  });

  test('that cannot be written are named with the reason, until they are', async () => {
    await using it = new Harness();
    const left = `${services}shop/left`;
    await it.store.put(left, 'of an earlier life');
    it.source.markSynced();
    let isRefused = true;
    const store = new Proxy(it.store, {
      get: (target, member) => {
        if (member === 'transact')
          return async (...[transaction, options]: Parameters<typeof target.transact>) => {
            if (isRefused && transaction.then.some(({ type }) => type === 'delete'))
              throw new InvalidRequestError('Too much at once');
            return await target.transact(transaction, options);
          };
        const value: unknown = Reflect.get(target, member, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    await it.start({ store });
    expect(it.apiserver.status()).toMatchObject({
      ready: false,
      waitingFor: [`${canaries}services/v1: Too much at once`],
    });
    isRefused = false;
    await it.clock.advance(30_000);
    await it.settle();
    expect(it.apiserver.status()).toMatchObject({ ready: true, waitingFor: [] });
    expect(await it.store.get(left)).toBeUndefined();
  });

  test('of nodes and addresses do not wait for a silent node for ever, but name it', async () => {
    await using it = new Harness();
    it.add(...node('n1'), ...node('n2'));
    it.source.markSynced();
    await it.store.put(ownSetKey('n2'), 'now');
    await it.start({ silentNodeMs: 30_000 });
    await it.clock.advance(29_000);
    expect(await it.keys(canaries)).not.toContain('ip/v1');
    expect(await it.keys(canaries)).toContain('identities/v1');
    await it.clock.advance(1_000);
    await it.settle();
    expect(await it.keys(canaries)).toContain('ip/v1');
    expect(it.apiserver.status()).toMatchObject({ ready: true, silentNodes: ['n1'] });
  });

  test('of nodes and addresses wait no longer for a node that is not ready any more, or gone', async () => {
    await using it = new Harness();
    it.add(...node('n1'), ...node('n2'));
    it.source.markSynced();
    await it.start();
    it.add(...node('n1', false));
    it.source.delete('Node', '', 'n2');
    await it.settle();
    expect(await it.keys(canaries)).toContain('nodes/v1');
  });
});

describe('A restart', () => {
  test('withdraws nothing, writes nothing twice over, and keeps every number', async () => {
    await using it = new Harness();
    it.add(...shop());
    it.source.markSynced();
    await it.start();
    const before = await it.stored(workloads);
    const deleted: string[] = [];
    const follow = new AbortController();
    const watching = (async () => {
      for await (const batch of it.store.listAndWatch('', { signal: follow.signal }))
        if (batch.type === 'changes')
          for (const event of batch.events) if (event.type === 'delete') deleted.push(toText(event.key));
    })();
    await it.stop();
    await it.clock.advance(60_000);
    expect(await it.stored(workloads)).toEqual(before);
    await it.start();
    expect(await it.stored(workloads)).toEqual(before);
    expect(deleted).toEqual([]);
    follow.abort();
    await watching;
  });

  test('loses nothing while its source cannot be read, for however long, nor when only one kind cannot', async () => {
    await using it = new Harness();
    it.add(...shop());
    it.source.markSynced();
    await it.start();
    await it.stop();
    const before = await it.stored('');
    const deleted: string[] = [];
    const follow = new AbortController();
    const watching = (async () => {
      for await (const batch of it.store.listAndWatch('', { signal: follow.signal }))
        if (batch.type === 'changes')
          for (const event of batch.events) if (event.type === 'delete') deleted.push(toText(event.key));
    })();
    const source = new (it.source.constructor as typeof import('../../../../kubernetes/index.ts').MemorySource)();
    await it.start({ source });
    const hours = async (): Promise<void> => {
      for (let minute = 0; minute < 120; minute++) await it.clock.advance(60_000);
    };
    await hours();
    const heart = 'cilium/.heartbeat';
    expect({ ...(await it.stored('')), [heart]: '' }).toEqual({ ...before, [heart]: '', ...(await question()) });
    for (const object of shop()) if (object.metadata.name !== 'db-1') source.set(object);
    source.markSynced(['Pod', 'Node', 'Namespace', 'Service', 'NetworkPolicy']);
    await hours();
    expect(await it.keys(services)).toEqual(['shop/web']);
    expect(deleted.filter((key) => !/identities|resting/.test(key))).toEqual(['isthmus/v1/workloads/n1/shop/db-1']);
    source.markSynced();
    await hours();
    expect(await it.keys(services)).toEqual(['shop/web']);
    expect(deleted.filter((key) => !/identities|resting/.test(key))).toEqual(['isthmus/v1/workloads/n1/shop/db-1']);
    follow.abort();
    await watching;

    async function question(): Promise<Record<string, string>> {
      const key = 'isthmus/v1/question/identities';
      return { [key]: (await it.stored(key))[''] ?? '' };
    }
  });

  test('removes what an earlier life left, once everything has been listed and not before', async () => {
    await using it = new Harness();
    it.add(...shop(), ...service('gone'));
    it.source.markSynced();
    await it.start();
    await it.stop();
    await it.store.put('isthmus/v1/own-set/n9', 'not ours');
    await it.store.put('cilium/state/services/v1/west/shop/web', 'not ours');
    const source = new (it.source.constructor as typeof import('../../../../kubernetes/index.ts').MemorySource)();
    for (const object of shop()) if (object.metadata.name !== 'db-1') source.set(object);
    await it.start({ source });
    expect(await it.keys(services)).toEqual(['shop/gone', 'shop/web']);
    expect(await it.keys(workloads)).toContain('n1/shop/db-1');
    source.markSynced();
    await it.settle();
    expect(await it.keys(services)).toEqual(['shop/web']);
    expect(await it.keys(workloads)).toEqual(['n1/shop/web-1', 'n1/shop/web-2']);
    expect(await it.keys('cilium/state/services/v1/west/')).toEqual(['shop/web']);
    expect(await it.keys('isthmus/v1/own-set/')).toEqual(['n9']);
  });

  test('of the source takes away what it no longer names, after it has named everything', async () => {
    await using it = new Harness();
    let life = 0;
    const source = {
      description: 'flaky',
      kinds: kubernetesKinds,
      async *watch(signal: AbortSignal) {
        life++;
        const first = life === 1;
        for (const object of shop())
          if (first || object.metadata.name !== 'web-2') yield { type: 'upsert' as const, object };
        for (const kind of kubernetesKinds) yield { type: 'synced' as const, kind };
        if (first) {
          await it.clock.sleep(5_000, signal);
          throw new Error('connection lost');
        }
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      },
    };
    await it.start({ source });
    expect(await it.keys(workloads)).toContain('n1/shop/web-2');
    await it.clock.advance(6_000);
    await it.settle();
    expect(life).toBe(2);
    expect(await it.keys(workloads)).toEqual(['n1/shop/db-1', 'n1/shop/web-1']);
  });
});
