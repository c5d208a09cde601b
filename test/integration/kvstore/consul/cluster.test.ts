import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { type ConsulStore, KvStoreError } from '../../../../kvstore/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { type ConsulCluster, type ConsulProcess, startConsulCluster } from '../../../support/consul.ts';
import { needs } from '../../../support/probe.ts';
import { Mirror, writeMany } from '../etcd/mirror.ts';
import { clientOf } from './support.ts';

jest.setTimeout(120_000);

needs('consul')('Three Consul servers', () => {
  let cluster: ConsulCluster;
  beforeAll(async () => {
    cluster = await startConsulCluster();
  }, 600_000);
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  const clientAt = (first: ConsulProcess): ConsulStore => {
    const others = cluster.members.filter((member) => member !== first);
    return clientOf(first, { addresses: [first, ...others].map(({ endpoint }) => endpoint) });
  };
  /** Writes until it is taken; a write of unknown fate is simply written again. */
  const insist = async (store: ConsulStore, key: string, value: string): Promise<void> => {
    for (let attempt = 1; ; attempt++) {
      try {
        await store.put(key, value);
        return;
      } catch (error) {
        if (attempt > 20 || !(error instanceof KvStoreError) || error.retry !== 'again') throw error;
        await systemClock.sleep(100);
      }
    }
  };

  test.each([
    { at: 'the leader itself', ofLeader: true, prefix: 'at-leader/' },
    { at: 'a follower', ofLeader: false, prefix: 'at-follower/' },
  ])('lose their leader: clients at $at lose no key, no lease and no change', async ({ ofLeader, prefix }) => {
    const leader = await cluster.leader();
    const first = cluster.members.find((member) => (member === leader) === ofLeader) ?? leader;
    await using store = clientAt(first);
    await writeMany(store, `${prefix}stable/`, 200);
    const lease = await store.grantLease({ ttlSeconds: 15 });
    await store.put(`${prefix}stable/leased`, 'x', { lease: lease.id });
    await using mirror = new Mirror(store, prefix, { order: 'key' });
    await mirror.until(() => mirror.watch.synced);

    await leader.kill();
    for (let i = 0; i < 30; i++) await insist(store, `${prefix}key${i % 10}`, `${i}`);
    await mirror.agreesWith(store, prefix);
    await leader.restart();
    for (let i = 0; i < 10; i++) await insist(store, `${prefix}key${i}`, 'after');
    await mirror.agreesWith(store, prefix);

    expect(mirror.marks).toEqual(['start', 'synced']);
    expect(mirror.watch.counts.removes).toBe(0);
    expect(lease.lost.aborted).toBe(false);
    expect((await store.get(`${prefix}stable/leased`))?.lease).toBe(lease.id);
    await lease.revoke();
    await mirror.until(() => !mirror.state.has('stable/leased') || mirror.problems.length > 0);
  });
});
