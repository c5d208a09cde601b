import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { clusterConfigKey, identityKey, ipKey } from '../../../../clustermesh/index.ts';
import { MemoryEngine, toText } from '../../../../kvstore/index.ts';
import { type RemoteWriter, Side, config, settle, until } from './support.ts';

const hour = 3_600_000;

describe('a remote cluster whose writer loses its lease', () => {
  let side: Side;
  let writer: RemoteWriter;
  let before: string[];
  const stops: (() => Promise<void>)[] = [];

  const follow = (from: Side, options = {}) => {
    const remote = from.remote('west', options);
    const controller = new AbortController();
    const running = remote.run(config(), controller.signal).catch(() => undefined);
    stops.push(async () => {
      controller.abort();
      await running;
    });
    return remote;
  };
  const freshlyRead = async (): Promise<string[]> => {
    const fresh = new Side();
    fresh.engines.set('west', side.engine());
    const remote = follow(fresh);
    await until(() => remote.status().ready, 'fresh reading');
    return fresh.known();
  };
  const lose = async (): Promise<void> => {
    await side.engine().leaseRevoke(writer.lease);
    await settle();
  };

  beforeEach(async () => {
    side = new Side();
    writer = side.writer();
    writer.lease = (await side.engine().leaseGrant({ id: 0n, ttl: 864_000 })).id;
    await writer.everything();
  });
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop();
  });

  test('is stale, keeps everything, and equals a fresh reading once it writes again', async () => {
    const remote = follow(side);
    await until(() => remote.status().ready, 'ready');
    before = side.known();
    const { version } = side.view;
    await lose();
    await side.clock.advance(1000);
    await until(() => remote.status()['lease-lost'] !== undefined, 'noticed');
    expect(remote.status()).toMatchObject({
      ready: false,
      stale: true,
      known: true,
      'lease-lost': { withdrawn: false },
      hint: expect.stringContaining('apiserver'),
    });
    await side.clock.advance(10 * 60_000);
    expect(side.known()).toEqual(before);
    expect(side.view.version).toBe(version);
    expect(remote.status()['lease-lost']).toMatchObject({ 'kept-for-seconds': expect.any(Number) });

    writer.lease = 0n;
    await writer.everything();
    await writer.heartbeat(side.clock.now());
    await writer.store.delete(ipKey('10.2.2.5'));
    await side.clock.advance(60_000);
    await writer.heartbeat(side.clock.now());
    await until(() => remote.status().ready, 'ready again');
    expect(remote.status()).not.toHaveProperty('lease-lost');
    expect(side.known()).toEqual(before.filter((line) => !line.includes('10.2.2.5')));
    expect(side.known()).toEqual(await freshlyRead());
    expect(side.view.version).toBe(version + 1);
  });

  test('with only part of its keys under the lease keeps those, too', async () => {
    const { lease } = writer;
    writer.lease = 0n;
    await writer.identity(131_074);
    const remote = follow(side);
    await until(() => remote.status().ready, 'ready');
    before = side.known();
    await side.engine().leaseRevoke(lease);
    await settle();
    // What is deleted by somebody while the lease is lost is not told apart from what went with it: it waits, too.
    await writer.store.delete(identityKey(131_074));
    await settle();
    expect(side.known()).toEqual(before);
  });

  test('that writes again before anybody has looked is listed anew rather than emptied', async () => {
    const remote = follow(side);
    await until(() => remote.status().ready, 'ready');
    before = side.known();
    await side.engine().leaseRevoke(writer.lease);
    writer.lease = 0n;
    await writer.config();
    await settle();
    expect(side.known()).toEqual(before);
    await writer.everything();
    await side.clock.advance(31_000);
    await until(() => remote.status().ready, 'ready again');
    expect(side.known()).toEqual(before);
  });

  test('is withdrawn when the grace that was set is over, and read again when it comes back', async () => {
    const remote = follow(side, { lostLeaseGraceMs: 2 * hour });
    await until(() => remote.status().ready, 'ready');
    before = side.known();
    await lose();
    for (let minutes = 0; minutes < 119; minutes++) await side.clock.advance(60_000);
    expect(side.known()).toEqual(before);
    await side.clock.advance(2 * 60_000);
    expect(side.known()).toEqual([]);
    expect(remote.status()).toMatchObject({ 'num-nodes': 0, 'lease-lost': { withdrawn: true, 'kept-for-seconds': 0 } });
    expect(remote.withdrawn).toBe(true);
    // Its id stays reserved as long as it is configured.
    expect(() => side.ids.reserve(2, 'other')).toThrow('already used by cluster west');

    writer.lease = 0n;
    await writer.everything();
    await writer.heartbeat(side.clock.now());
    await side.clock.advance(60_000);
    await writer.heartbeat(side.clock.now());
    await until(() => remote.status().ready, 'ready again');
    expect(side.known()).toEqual(before);
    expect(remote.withdrawn).toBe(false);
  });

  test('is kept for ever with a grace of 0', async () => {
    const remote = follow(side, { lostLeaseGraceMs: 0 });
    await until(() => remote.status().ready, 'ready');
    before = side.known();
    await lose();
    for (let hours = 0; hours < 26; hours++) await side.clock.advance(hour);
    expect(side.known()).toEqual(before);
    expect(remote.status()['lease-lost']).toEqual({ 'age-seconds': expect.any(Number), withdrawn: false });
  });

  test('while it was cut, and is listed without its configuration, loses nothing', async () => {
    const remote = follow(side);
    await until(() => remote.status().ready, 'ready');
    before = side.known();
    side.cut();
    await lose();
    side.heal();
    await side.clock.advance(120_000);
    await settle();
    expect(remote.status()).toMatchObject({ ready: false, 'lease-lost': { withdrawn: false } });
    expect(side.known()).toEqual(before);
  });

  test('between its configuration and the end of a listing loses nothing', async () => {
    const remote = follow(side);
    await until(() => remote.status().ready, 'ready');
    before = side.known();
    side.cut();
    // What is there when it connects again: the configuration and the canaries, and not the records.
    await side.engine().leaseRevoke(writer.lease);
    writer.lease = (await side.engine().leaseGrant({ id: 0n, ttl: 864_000 })).id;
    await writer.config();
    await writer.canaries();
    const inner = side.engine();
    const range = inner.range.bind(inner);
    let lost = 0;
    // The lease ends while the records are being listed: all that the listing lacks would go at its end.
    inner.range = async (request) => {
      const answer = await range(request);
      if (toText(request.key).startsWith('cilium/state/') && lost++ === 0) await inner.leaseRevoke(writer.lease);
      return answer;
    };
    side.heal();
    await side.clock.advance(31_000);
    await settle(200);
    inner.range = range;
    expect(lost).toBeGreaterThan(0);
    expect(side.known()).toEqual(before);
  });

  describe('one of several', () => {
    let other: bigint;
    const beating = async (minutes: number): Promise<void> => {
      for (let minute = 0; minute < minutes; minute++) {
        await writer.heartbeat(side.clock.now());
        for (let i = 0; i < 12; i++) {
          await side.clock.advance(5_000);
          await settle();
        }
      }
    };
    const addressesUnder = async (lease: bigint): Promise<void> => {
      const own = writer.lease;
      writer.lease = lease;
      await writer.ip('10.2.1.5', '192.168.2.1');
      await writer.ip('10.2.2.5', '192.168.2.2');
      await writer.service('web', { '10.2.1.5': 8080 });
      writer.lease = own;
    };
    const followed = async () => {
      other = (await side.engine().leaseGrant({ id: 0n, ttl: 864_000 })).id;
      await addressesUnder(other);
      const remote = follow(side);
      await until(() => remote.status().ready, 'ready');
      before = side.known();
      return remote;
    };
    const comesBackWithoutOne = async (): Promise<void> => {
      await writer.ip('10.2.1.5', '192.168.2.1');
      await writer.service('web', { '10.2.1.5': 8080 });
      await settle();
      expect(side.known()).toEqual(before);
      await beating(3);
      expect(side.known()).toEqual(before.filter((line) => !line.includes('10.2.2.5')));
      expect(side.known()).toEqual(await freshlyRead());
    };

    test('and is dead, keeps what the others held, although its configuration is there for minutes more', async () => {
      const remote = await followed();
      const { version } = side.view;
      // Nobody renews: a third of a lease's life lies between the ends of the first and the last one.
      await side.clock.advance(600_000);
      await settle();
      await side.engine().leaseRevoke(other);
      for (let minute = 0; minute < 5; minute++) {
        await side.clock.advance(60_000);
        await settle();
        expect(side.known()).toEqual(before);
      }
      expect(remote.status()).toMatchObject({ ready: false, stale: true });
      expect(remote.status()).not.toHaveProperty('lease-lost');
      // A process that begins now keeps to what an earlier one knew as well: what it has is all there.
      await side.engine().leaseRevoke(writer.lease);
      await side.clock.advance(600_000);
      await settle();
      expect(side.known()).toEqual(before);
      expect(remote.status()).toMatchObject({ stale: true, 'lease-lost': { withdrawn: false } });
      expect(side.view.version).toBe(version);

      writer.lease = 0n;
      await writer.config();
      await writer.heartbeat(side.clock.now());
      await writer.node('w1', '192.168.2.1', '10.2.1.0/24');
      await writer.node('w2', '192.168.2.2', '10.2.2.0/24');
      await writer.identity(131_073);
      await writer.ip('10.2.1.5', '192.168.2.1');
      await writer.service('web', { '10.2.1.5': 8080 });
      await writer.canaries();
      await beating(4);
      expect(side.known()).toEqual(before.filter((line) => !line.includes('10.2.2.5')));
      expect(remote.status()).toMatchObject({ ready: true, stale: false });
    });

    test('and lives, keeps what that held until it has had time to write it again', async () => {
      await followed();
      await beating(3);
      await side.engine().leaseRevoke(other);
      await settle();
      expect(side.known()).toEqual(before);
      await comesBackWithoutOne();
    });

    test('and lives, while the connection is cut: the next listing removes nothing at first either', async () => {
      const remote = await followed();
      await side.clock.advance(121_000);
      await settle();
      side.cut();
      await side.engine().leaseRevoke(other);
      side.heal();
      await side.clock.advance(31_000);
      await settle();
      expect(remote.status()).toMatchObject({ connected: true, stale: true });
      expect(side.known()).toEqual(before);
      await writer.heartbeat(side.clock.now());
      await settle();
      await comesBackWithoutOne();
    });

    test('and deletes many keys at once under a lease that is alive, loses them at once', async () => {
      const remote = await followed();
      await beating(1);
      await writer.store.transact({
        when: [],
        then: ['10.2.1.5', '10.2.2.5'].map((ip) => ({ type: 'delete', key: ipKey(ip) })),
      });
      await until(() => !side.known().some((line) => line.startsWith('ip ')), 'deleted');
      expect(remote.status()).toMatchObject({ ready: true, 'num-failures': 0 });
    });
  });

  test('and one whose keys are deleted one by one loses them at once', async () => {
    const remote = follow(side);
    await until(() => remote.status().ready, 'ready');
    await writer.store.delete(ipKey('10.2.2.5'));
    await until(() => !side.known().join().includes('10.2.2.5'), 'deleted');
    expect(remote.status()).toMatchObject({ ready: true, 'num-failures': 0 });
  });

  test('and one that says something else of itself is connected anew within a minute', async () => {
    const remote = follow(side);
    await until(() => remote.status().ready, 'ready');
    await writer.put(
      clusterConfigKey('west'),
      '{"id":2,"capabilities":{"syncedCanaries":true,"serviceExportsEnabled":true}}',
    );
    await side.clock.advance(61_000);
    await writer.heartbeat(side.clock.now());
    await until(() => remote.status().config['service-exports-enabled'] === true, 'the new configuration');
    expect(remote.status()['num-failures']).toBe(1);
  });

  test('and one that comes back with an empty store under another id keeps nothing of the old one', async () => {
    const remote = follow(side);
    await until(() => remote.status().ready, 'ready');
    before = side.known();
    side.cut();
    side.engines.set('west', new MemoryEngine({ clock: side.clock }));
    side.heal();
    await side.clock.advance(31_000);
    await settle();
    expect(remote.status()).toMatchObject({ 'lease-lost': { withdrawn: false } });
    expect(side.known()).toEqual(before);
    const other = side.writer('west', 9);
    await other.everything();
    await other.heartbeat(side.clock.now());
    await side.clock.advance(31_000);
    await until(() => remote.status().ready, 'the new id');
    expect(side.known()).toEqual(before.map((line) => line.replaceAll('131073', String(9 * 65_536 + 1))).toSorted());
  });
});
