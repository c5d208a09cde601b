import { afterEach, describe, expect, test } from '@jest/globals';
import { clusterConfigKey, identityKey, ipKey, nodeKey } from '../../../../clustermesh/index.ts';
import { MemoryEngine } from '../../../../kvstore/index.ts';
import { Side, config, settle, until, westConfig } from './support.ts';

const everything = [
  'identity 131073',
  'ip 10.2.1.5 at 192.168.2.1 is 131073',
  'ip 10.2.2.5 at 192.168.2.2 is 131073',
  'node west/w1 192.168.2.1',
  'node west/w2 192.168.2.2',
  'service web 10.2.1.5',
];

describe('a remote cluster', () => {
  const stops: (() => Promise<void>)[] = [];
  const follow = (side: Side, name = 'west') => {
    const remote = side.remote(name);
    const controller = new AbortController();
    const running = remote.run(config(name), controller.signal).catch(() => undefined);
    const stop = async (): Promise<void> => {
      controller.abort();
      await running;
    };
    stops.push(stop);
    return { remote, stop };
  };
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop();
  });

  test('is read completely once its canaries are there', async () => {
    const side = new Side();
    await side.writer().everything();
    const { remote } = follow(side);
    await until(() => remote.status().ready, 'ready');
    expect(side.known()).toEqual(everything);
    expect(remote.status()).toMatchObject({
      name: 'west',
      connected: true,
      'num-nodes': 2,
      'num-endpoints': 2,
      'num-identities': 1,
      'num-shared-services': 1,
      'num-failures': 0,
      'last-failure': '0001-01-01T00:00:00.000Z',
      config: {
        required: true,
        retrieved: true,
        'cluster-id': 2,
        kvstoremesh: false,
        'sync-canaries': true,
        'service-exports-enabled': false,
      },
      synced: { nodes: true, endpoints: true, identities: true, services: true },
      'heartbeat-age-seconds': 0,
      stale: false,
      known: true,
      refused: { total: 0, keys: [] },
    });
  });

  test('is not read before the canary of each kind', async () => {
    const side = new Side();
    const writer = side.writer();
    await writer.config();
    await writer.node('w1', '192.168.2.1', '10.2.1.0/24');
    await writer.ip('10.2.1.5', '192.168.2.1');
    const { remote } = follow(side);
    await until(() => remote.status().config.retrieved, 'configuration');
    await settle();
    expect(side.known()).toEqual([]);
    expect(remote.status()).toMatchObject({
      failure:
        'Waiting for the canaries of nodes, services, endpoints, identities: west has not marked these sets as complete',
      hint: expect.stringContaining('isthmus troubleshoot'),
    });
    await writer.canaries('ip');
    await until(() => remote.status().synced.endpoints, 'addresses');
    expect(side.known()).toEqual(['ip 10.2.1.5 at 192.168.2.1 is 131073']);
    await writer.canaries();
    await until(() => remote.status().ready, 'ready');
    expect(remote.status().failure).toBeUndefined();
  });

  test('that writes no canaries is read at once', async () => {
    const side = new Side();
    const writer = side.writer();
    await writer.config({ ...westConfig, syncedCanaries: false });
    await writer.ip('10.2.1.5', '192.168.2.1');
    const { remote } = follow(side);
    await until(() => remote.status().ready, 'ready');
    expect(side.known()).toEqual(['ip 10.2.1.5 at 192.168.2.1 is 131073']);
  });

  test('that keeps its data in the cache layout is read there', async () => {
    const side = new Side();
    const writer = side.writer();
    await writer.config({ ...westConfig, syncedCanaries: false, cached: true });
    await writer.ip('10.2.9.9', '192.168.2.1');
    const value = (await writer.store.get(ipKey('10.2.9.9')))?.value ?? '';
    await writer.store.put('cilium/cache/ip/v1/west/10.2.9.9', value);
    await writer.store.delete(ipKey('10.2.9.9'));
    const { remote } = follow(side);
    await until(() => remote.status().ready, 'ready');
    expect(side.known()).toEqual(['ip 10.2.9.9 at 192.168.2.1 is 131073']);
  });

  test('loses nothing while it is cut, and equals a fresh reading after it is healed', async () => {
    const side = new Side();
    const writer = side.writer();
    await writer.everything();
    const { remote } = follow(side);
    await until(() => remote.status().ready, 'ready');
    const { version } = side.view;

    side.cut();
    await until(() => !remote.status().connected, 'disconnected');
    await writer.store.delete(ipKey('10.2.2.5'));
    await writer.ip('10.2.1.6', '192.168.2.1');
    await side.clock.advance(60_000);
    expect(side.known()).toEqual(everything);
    expect(side.view.version).toBe(version);
    expect(remote.status()).toMatchObject({ ready: false, known: true, failure: 'Nobody answers' });

    side.heal();
    await side.clock.advance(31_000);
    await until(() => remote.status().ready, 'ready again');
    const fresh = new Side();
    fresh.engines.set('west', side.engine());
    const other = follow(fresh);
    await until(() => other.remote.status().ready, 'fresh reading');
    expect(side.known()).toEqual(fresh.known());
    expect(side.known()).toContain('ip 10.2.1.6 at 192.168.2.1 is 131073');
    expect(side.known().join()).not.toContain('10.2.2.5');
    // Only what changed was changed: two addresses.
    expect(side.view.version).toBe(version + 2);
  });

  test('whose store was wiped keeps what it told until its canary and a complete listing', async () => {
    const side = new Side();
    await side.writer().everything();
    const { remote } = follow(side);
    await until(() => remote.status().ready, 'ready');

    side.cut();
    side.engines.set('west', new MemoryEngine({ clock: side.clock }));
    const writer = side.writer();
    await writer.config();
    await writer.node('w1', '192.168.2.1', '10.2.1.0/24');
    side.heal();
    await side.clock.advance(31_000);
    await until(() => remote.status().config.retrieved, 'connected');
    await settle();
    expect(side.known()).toEqual(everything);
    await writer.canaries('nodes');
    await until(() => remote.status().synced.nodes, 'nodes');
    expect(side.known()).toEqual(everything.filter((line) => line !== 'node west/w2 192.168.2.2'));
    await writer.canaries();
    await until(() => remote.status().ready, 'ready');
    expect(side.known()).toEqual(['node west/w1 192.168.2.1']);
  });

  test('stays in the view when the process stops, and leaves it when it is drained', async () => {
    const side = new Side();
    await side.writer().everything();
    const { remote, stop } = follow(side);
    await until(() => remote.status().ready, 'ready');
    await stop();
    expect(side.known()).toEqual(everything);
    remote.drain();
    expect(side.known()).toEqual([]);
    expect(() => side.ids.reserve(2, 'other')).not.toThrow();
  });

  test('that changes its id is drained before anything is read anew', async () => {
    const side = new Side();
    const writer = side.writer();
    await writer.everything();
    const { remote } = follow(side);
    await until(() => remote.status().ready, 'ready');
    side.cut();
    await writer.config({ ...westConfig, id: 7 });
    side.heal();
    await side.clock.advance(31_000);
    await until(() => remote.status().config['cluster-id'] === 7 && remote.status().ready, 'the new id');
    // Everything still bears the old id, so nothing is accepted.
    expect(side.known()).toEqual([]);
    expect(remote.status().refused.total).toBe(6);
    expect(() => side.ids.reserve(2, 'other')).not.toThrow();
  });

  test('whose configuration becomes unreadable is followed on by the one before, and says so', async () => {
    const side = new Side();
    const writer = side.writer();
    await writer.everything();
    const { remote } = follow(side);
    await until(() => remote.status().ready, 'ready');
    await writer.put(clusterConfigKey('west'), '{"id":');
    await side.clock.advance(60_000);
    await until(() => !remote.status().ready, 'not ready');
    expect(remote.status()).toMatchObject({
      connected: true,
      failure: expect.stringContaining('cilium/cluster-config/west'),
      hint: 'Correct the remote cluster’s configuration',
      'num-failures': 0,
    });
    await writer.node('w3', '192.168.2.3');
    await writer.store.delete(nodeKey('west', 'w2'));
    await until(() => side.known().includes('node west/w3 192.168.2.3'), 'a new node');
    await until(() => !side.known().includes('node west/w2 192.168.2.2'), 'a node gone');
    await writer.config();
    await side.clock.advance(60_000);
    await until(() => remote.status().ready, 'ready');
    expect(remote.status()).not.toHaveProperty('failure');
  });

  test.each([
    { when: 'is 0', id: 0, words: 'must be from 1 to 255' },
    { when: 'is beyond 255', id: 256, words: 'must be from 1 to 255' },
    { when: 'is ours', id: 1, words: 'another id than that of the local cluster' },
    { when: 'belongs to another cluster', id: 3, words: 'clusterID 3 is already used by cluster north' },
  ])('is not ready while its id $when', async ({ id, words }) => {
    const side = new Side();
    side.ids.reserve(3, 'north');
    const writer = side.writer();
    await writer.everything();
    await writer.config({ ...westConfig, id });
    const { remote } = follow(side);
    await until(() => remote.status()['num-failures'] === 1, 'a failure');
    expect(remote.status()).toMatchObject({ ready: false, failure: expect.stringContaining(words) });
    expect(remote.status().hint).toBeDefined();
    expect(side.known()).toEqual([]);
    await writer.config();
    await side.clock.advance(2000);
    await until(() => remote.status().ready, 'ready once the id is right');
  });

  test('has values that break the rules refused by name, and the versions before them stay', async () => {
    const side = new Side();
    const writer = side.writer();
    await writer.everything();
    const { remote } = follow(side);
    await until(() => remote.status().ready, 'ready');
    await writer.ip('10.2.1.5', '192.168.2.1', 65_537 * 3);
    await writer.identity(131_074, 'north');
    await writer.store.put(identityKey(99), 'k8s:a=b;');
    await writer.store.put('cilium/state/nodes/v1/west/w2', '{"Name":"w2"');
    await writer.store.put(
      'cilium/state/services/v1/west/shop/web',
      '{"cluster":"north","namespace":"shop","name":"web"}',
    );
    await until(() => remote.status().refused.total === 5, 'five refusals');
    expect(side.known()).toEqual(everything);
    const { keys } = remote.status().refused;
    expect(keys.map(({ kind, key }) => `${kind} ${key}`).toSorted()).toEqual([
      'identities 131074',
      'identities 99',
      'ip 10.2.1.5',
      'nodes w2',
      'services shop/web',
    ]);
    expect(keys.every(({ reason }) => reason.length > 10)).toBe(true);
    await writer.ip('10.2.1.5', '192.168.2.2');
    await until(() => remote.status().refused.keys.length === 4, 'one accepted again');
    expect(side.known()).toContain('ip 10.2.1.5 at 192.168.2.2 is 131073');
  });

  test('treats a remote host as a remote node', async () => {
    const side = new Side();
    const writer = side.writer();
    await writer.everything();
    await writer.ip('192.168.2.1', '192.168.2.1', 1);
    const { remote } = follow(side);
    await until(() => remote.status().ready, 'ready');
    expect(side.known()).toContain('ip 192.168.2.1 at 192.168.2.1 is 6');
  });

  test('that falls silent becomes stale and is never removed', async () => {
    const side = new Side();
    const writer = side.writer();
    await writer.everything();
    const { remote } = follow(side);
    await until(() => remote.status().ready, 'ready');
    await side.clock.advance(60_000);
    await writer.heartbeat(side.clock.now());
    await settle();
    expect(remote.status()).toMatchObject({ 'heartbeat-age-seconds': 0, stale: false, 'num-failures': 0 });
    await side.clock.advance(122_000);
    expect(remote.status()).toMatchObject({ stale: true, 'num-failures': 1 });
    await side.clock.advance(600_000);
    expect(side.known()).toEqual(everything);
    await writer.heartbeat(side.clock.now());
    await until(() => !remote.status().stale, 'fresh again');
  });

  test('connects anew with another configuration, keeping what it knows', async () => {
    const side = new Side();
    await side.writer().everything();
    const { remote, stop } = follow(side);
    await until(() => remote.status().ready, 'ready');
    const { version } = side.view;
    await stop();
    const controller = new AbortController();
    const running = remote.run(config('west', '2'), controller.signal).catch(() => undefined);
    stops.push(async () => {
      controller.abort();
      await running;
    });
    await until(() => remote.status().ready, 'ready again');
    expect(side.known()).toEqual(everything);
    expect(side.view.version).toBe(version);
  });
});
