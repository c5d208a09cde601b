import { expect, jest, test } from '@jest/globals';
import { type Store, toText } from '../../../../kvstore/index.ts';
import { type EtcdCluster, startEtcdCluster } from '../../../support/etcd-cluster.ts';
import type { EtcdProcess } from '../../../support/etcd.ts';
import { needs } from '../../../support/probe.ts';
import { clientOf } from './subjects.ts';

jest.setTimeout(120_000);
const prefix = 'cilium/state/nodes/v1/';

/** Keys of a listing, at its `synced`. */
async function keysAtSynced(store: Store): Promise<string[]> {
  const stop = new AbortController();
  const keys: string[] = [];
  for await (const batch of store.listAndWatch(prefix, { signal: stop.signal })) {
    if (batch.type === 'synced') stop.abort();
    if (batch.type !== 'changes') continue;
    for (const event of batch.events) if (event.type === 'put') keys.push(toText(event.entry.key).slice(prefix.length));
  }
  return keys;
}

async function follower(cluster: EtcdCluster): Promise<{ readonly one: EtcdProcess; readonly others: EtcdProcess[] }> {
  const leader = await cluster.leader();
  const one = cluster.members.find((member) => member !== leader);
  if (!one) throw new Error('A cluster of one has no follower');
  return { one, others: cluster.members.filter((member) => member !== one) };
}

needs('etcd')('a listing through one of three members', () => {
  test('has what was acknowledged by the others while it stood still', async () => {
    await using cluster = await startEtcdCluster();
    const { one, others } = await follower(cluster);
    await using through = clientOf(one);
    await using writer = clientOf(others[0] ?? one);
    await through.get(prefix);
    for (let round = 0; round < 10; round++) {
      one.pause();
      await writer.put(`${prefix}${round}`, 'x');
      const listing = keysAtSynced(through);
      // The question lies at its door before anything of what it has missed.
      await new Promise((resolve) => setTimeout(resolve, 20));
      one.resume();
      expect(await listing).toContain(`${round}`);
    }
  });

  test('has what that member knows when the others are gone', async () => {
    await using cluster = await startEtcdCluster();
    const { one, others } = await follower(cluster);
    await using through = clientOf(one);
    await through.put(`${prefix}known`, 'x');
    await Promise.all(others.map((member) => member.kill()));
    expect(await keysAtSynced(through)).toEqual(['known']);
  });
});
