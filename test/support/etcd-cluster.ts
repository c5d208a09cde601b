import { setTimeout as sleep } from 'node:timers/promises';
import { methods } from '../../kvstore/etcd/wire/index.ts';
import { type EtcdProcess, freePort, startEtcd } from './etcd.ts';
import { RawEtcd } from './raw-etcd.ts';

/** Three members on loopback that elect a leader among them. */
export interface EtcdCluster extends AsyncDisposable {
  readonly members: readonly EtcdProcess[];
  /** The member that leads now, once all that run agree on it and answer. */
  leader(): Promise<EtcdProcess>;
}

export async function startEtcdCluster(): Promise<EtcdCluster> {
  for (let attempt = 1; ; attempt++) {
    const peers = await Promise.all(
      ['a', 'b', 'c'].map(async (name) => ({ name, url: `http://127.0.0.1:${await freePort()}` })),
    );
    const all = peers.map(({ name, url }) => `${name}=${url}`).join(',');
    const starting = peers.map(({ name, url }) =>
      startEtcd({
        flags: [
          `--name=${name}`,
          `--listen-peer-urls=${url}`,
          `--initial-advertise-peer-urls=${url}`,
          `--initial-cluster=${all}`,
          // Members share two cores with whatever else runs: too short a time makes them elect all day.
          '--heartbeat-interval=50',
          '--election-timeout=500',
        ],
      }),
    );
    const started = await Promise.allSettled(starting);
    const members = started.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
    const dispose = async (): Promise<void> => {
      await Promise.all(members.map((member) => member[Symbol.asyncDispose]()));
    };
    const failed = started.find((one) => one.status === 'rejected');
    if (!failed) return { members, leader: () => leaderOf(members), [Symbol.asyncDispose]: dispose };
    await dispose();
    // Another process may have taken a port between the look and the start.
    if (attempt >= 3) throw failed.reason;
  }
}

async function leaderOf(members: readonly EtcdProcess[]): Promise<EtcdProcess> {
  for (;;) {
    const running = members.filter(({ pid }) => pid !== undefined);
    const views = await Promise.all(running.map(viewOf));
    const [first] = views;
    const leader = running[views.findIndex((view) => view !== undefined && view.self === first?.leader)];
    if (leader && views.every((view) => view !== undefined && view.leader === first?.leader)) return leader;
    await sleep(30);
  }
}

/** Who a member is and whom it follows; undefined while it has nobody to follow or cannot say. */
async function viewOf(member: EtcdProcess): Promise<{ readonly self: bigint; readonly leader: bigint } | undefined> {
  await using raw = new RawEtcd(member.port);
  // Answered by a quorum only.
  const read = await raw.call(methods.range, { key: Buffer.from('a') });
  const { response } = await raw.call(methods.status, {});
  if (read.code !== 0 || !response?.header || response.leader === 0n) return undefined;
  return { self: response.header.memberId, leader: response.leader };
}
