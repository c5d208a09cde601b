import { beforeAll, expect, jest, test } from '@jest/globals';
import { type Store, type WatchBatch, openEtcdStore, toBytes, toText } from '../../../../kvstore/index.ts';
import { Landmarks, Position, follow } from '../../../../kvstore/etcd/list-watch/index.ts';
import { EtcdSession } from '../../../../kvstore/etcd/session/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { builtBinary } from '../../../support/built-binary.ts';
import { etcdBinary } from '../../../support/etcd.ts';
import { needs } from '../../../support/probe.ts';
import { startTcpProxy } from '../../../support/tcp-proxy.ts';
import { until } from '../../../support/until.ts';
import { Mirror } from './mirror.ts';
import { clientOf, etcdSubject } from './subjects.ts';

jest.setTimeout(120_000);

const prefix = 'quiet/';
const common = { clock: systemClock, log: silentLogger };

/** Follows a prefix by a session of its own, and shows how far it is. */
class Followed {
  position = new Position();
  readonly #session: EtcdSession;

  constructor(session: EtcdSession) {
    this.#session = session;
  }

  listAndWatch(
    bytes: string | Uint8Array,
    { signal }: { readonly signal: AbortSignal },
  ): AsyncGenerator<WatchBatch, void, void> {
    return follow(this.#session, {
      ...common,
      createPosition: () => (this.position = new Position()),
      landmarks: new Landmarks(systemClock),
      signal,
      prefix: toBytes(bytes),
      name: toText(toBytes(bytes)),
      batchSize: 100,
      random: Math.random,
    });
  }
}

/** What is written to the older copy under the prefix, before the client is back. */
const written: Readonly<Record<string, (store: Store) => Promise<unknown>>> = {
  'new keys': (store) => store.put(`${prefix}new`, '1'),
  'another value': (store) => store.put(`${prefix}0`, 'other'),
  'one key instead of another': async (store) => {
    await store.delete(`${prefix}3`);
    await store.put(`${prefix}new`, '1');
  },
  'nothing but a deletion': (store) => store.delete(`${prefix}5`),
};

needs('etcd')('An older backup of a prefix that has been quiet since, grown beyond what was known of it', () => {
  beforeAll(() => builtBinary(etcdBinary), 600_000);

  test.each(Object.keys(written))('is noticed: %s', async (what) => {
    await using subject = await etcdSubject(['--watch-progress-notify-interval=200ms']);
    await using proxy = await startTcpProxy(subject);
    await using direct = clientOf(subject);
    // More than are kept as proof, and a deletion behind them.
    for (let i = 0; i < 12; i++) await direct.put(`${prefix}${i}`, '1');
    await direct.delete(`${prefix}11`);
    await subject.backup();
    await direct.get('anything');
    await using session = new EtcdSession({ endpoints: [proxy.endpoint], ...common });
    const followed = new Followed(session);
    await using mirror = new Mirror(followed, prefix);
    await mirror.agreesWith(direct, prefix);
    let last = 0;
    for (let i = 0; i < 20; i++) last = (await direct.put(`elsewhere/${i}`, '1')).revision;
    await until(() => followed.position.next > last);
    await proxy.set('refuse');
    proxy.cut();
    await subject.restore();
    await direct.get('anything');
    await written[what]?.(direct);
    for (let i = 0; i < 30; i++) await direct.put(`elsewhere/${i}`, '2');
    await proxy.set('pass');
    await mirror.agreesWith(direct, prefix);
    expect(mirror.marks).toEqual(['start', 'synced', 'store-replaced', 'synced']);
  });

  test('is not taken for what it is not: the same store, cut off, is gone on with', async () => {
    await using subject = await etcdSubject(['--watch-progress-notify-interval=200ms']);
    await using proxy = await startTcpProxy(subject);
    await using direct = clientOf(subject);
    await using through = openEtcdStore({ endpoints: [proxy.endpoint], ...common });
    for (let i = 0; i < 12; i++) await direct.put(`${prefix}${i}`, '1');
    // What came and went before the listing is not missed by anybody.
    await direct.put(`${prefix}passing`, '1');
    await direct.deletePrefix(`${prefix}1`);
    await direct.delete(`${prefix}passing`);
    await using mirror = new Mirror(through, prefix);
    await mirror.agreesWith(direct, prefix);
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 20; i++) await direct.put(`elsewhere/${i}`, '1');
      await proxy.set('refuse');
      proxy.cut();
      await direct.put(`${prefix}meanwhile/${round}`, '1');
      await direct.delete(`${prefix}${round + 2}`);
      await proxy.set('pass');
      await mirror.agreesWith(direct, prefix);
    }
    expect(mirror.marks).toEqual(['start', 'synced']);
  });

  test('is not taken for what it is not: the same store, which has forgotten how the prefix became quiet', async () => {
    await using subject = await etcdSubject(['--watch-progress-notify-interval=200ms']);
    await using proxy = await startTcpProxy(subject);
    await using direct = clientOf(subject);
    await using session = new EtcdSession({ endpoints: [proxy.endpoint], ...common });
    for (let i = 0; i < 12; i++) await direct.put(`${prefix}${i}`, '1');
    const followed = new Followed(session);
    await using mirror = new Mirror(followed, prefix);
    await mirror.agreesWith(direct, prefix);
    await direct.delete(`${prefix}11`);
    let last = 0;
    for (let i = 0; i < 20; i++) last = (await direct.put(`elsewhere/${i}`, '1')).revision;
    await until(() => followed.position.next > last);
    await subject.compact(last - 1);
    await proxy.set('refuse');
    proxy.cut();
    await direct.put(`${prefix}meanwhile`, '1');
    await proxy.set('pass');
    await mirror.agreesWith(direct, prefix);
    expect(mirror.marks).toEqual(['start', 'synced']);
  });
});
