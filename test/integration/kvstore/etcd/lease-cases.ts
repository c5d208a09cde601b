import { expect } from '@jest/globals';
import { type Lease, LeaseNotFoundError, type Store, SyncStore } from '../../../../kvstore/index.ts';
import { type Clock, systemClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { Mirror, contentsOf, eventually, writeMany } from './mirror.ts';
import { type Owe, type StartScene, prefix } from './scene.ts';

/** A clock that may be wrong. */
class JumpingClock implements Clock {
  wallMs = 0;
  steadyMs = 0;
  sleep = systemClock.sleep;
  timer = systemClock.timer;
  now = (): number => systemClock.now() + this.wallMs;
  monotonicMs = (): number => systemClock.monotonicMs() + this.steadyMs;
}

async function putAll(store: Store, lease: Lease, names: readonly string[]): Promise<void> {
  await Promise.all(names.map((name) => store.put(`${prefix}${name}`, 'x', { lease: lease.id })));
}

const mine = Array.from({ length: 10 }, (_, i) => `mine/${i}`);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Leases that end, that are shared, and clocks that lie. */
export function leaseCases(scene: StartScene, owes: Owe): void {
  owes('a lease that ends while its owner is cut off is told as lost; its keys go, and no others', async () => {
    await using at = await scene();
    await writeMany(at.direct, `${prefix}stable/`, 20);
    const lease = await at.through.grantLease({ ttlSeconds: 3 });
    await putAll(at.through, lease, mine);
    await using follower = new Mirror(at.direct, prefix);
    await using own = new Mirror(at.through, prefix);
    await follower.until(() => follower.state.size === 30);
    await own.until(() => own.state.size === 30);
    await at.cutOff();
    await eventually(() => lease.lost.aborted);
    await follower.until(() => follower.state.size === 20);
    // It has heard nothing: what it knows stays.
    expect(own.state.size).toBe(30);
    await at.proxy.set('pass');
    await own.agreesWith(at.direct, prefix);
    await expect(putAll(at.through, lease, ['mine/late'])).rejects.toThrow(LeaseNotFoundError);
    const next = await at.through.grantLease({ ttlSeconds: 60 });
    await putAll(at.through, next, mine);
    await own.agreesWith(at.direct, prefix);
    await follower.agreesWith(at.direct, prefix);
    expect(follower.state.size).toBe(30);
    expect(own.marks).toEqual(['start', 'synced']);
    await next.revoke();
    await own.agreesWith(at.direct, prefix);
    expect(own.state.size).toBe(20);
  });

  owes('two writers under one lease lose their keys together, and nobody else loses any', async () => {
    await using at = await scene();
    await writeMany(at.direct, `${prefix}stable/`, 20);
    const lease = await at.through.grantLease({ ttlSeconds: 2 });
    await putAll(at.through, lease, mine);
    await putAll(at.direct, lease, ['other/1', 'other/2']);
    await using mirror = new Mirror(at.direct, prefix);
    await mirror.until(() => mirror.state.size === 32);
    // Renewed for as long as its owner wants, whoever else writes under it.
    await pause(3000);
    expect(mirror.state.size).toBe(32);
    await lease[Symbol.asyncDispose]();
    await mirror.until(() => mirror.state.size === 20);
    await expect(putAll(at.direct, lease, ['other/1'])).rejects.toThrow(LeaseNotFoundError);
    await mirror.agreesWith(at.direct, prefix);
    // One who takes a key over to a lease of its own keeps it when the other goes.
    const first = await at.through.grantLease({ ttlSeconds: 60 });
    const second = await at.direct.grantLease({ ttlSeconds: 60 });
    await putAll(at.through, first, ['mine/1', 'mine/2']);
    await putAll(at.direct, second, ['mine/2']);
    await first.revoke();
    await mirror.agreesWith(at.direct, prefix);
    expect([...mirror.state.keys()].filter((key) => key.startsWith('mine'))).toEqual(['mine/2']);
  });

  owes('a wall clock that jumps an hour, there and back, changes nothing', async () => {
    const clock = new JumpingClock();
    await using at = await scene({ clock });
    await using mirror = await at.mirror();
    const lease = await at.through.grantLease({ ttlSeconds: 5 });
    await putAll(at.through, lease, mine);
    for (const wallMs of [3_600_000, -3_600_000]) {
      clock.wallMs = wallMs;
      await pause(3500);
      await at.direct.put(`${prefix}now/${wallMs}`, '1');
      await mirror.agreesWith(at.direct, prefix);
    }
    expect(lease.lost.aborted).toBe(false);
    expect(mirror.state.size).toBe(32);
    expect(mirror.marks).toEqual(['start', 'synced']);
    expect(at.through.health().reconnections).toBe(0);
  });

  owes('an hour that has passed unnoticed ends a lease at once, and its owner writes its keys again', async () => {
    const clock = new JumpingClock();
    await using at = await scene({ clock });
    await using mirror = await at.mirror();
    const lease = await at.through.grantLease({ ttlSeconds: 6 });
    await using sync = new SyncStore({
      store: at.through,
      clock,
      log: silentLogger,
      scope: 'test',
      leaseTtlSeconds: 6,
    });
    const stop = new AbortController();
    const running = sync.run(stop.signal);
    for (const name of mine) sync.set(`${prefix}${name}`, 'x');
    await mirror.until(() => mirror.state.size === 30);
    clock.steadyMs = 3_600_000;
    await eventually(() => lease.lost.aborted);
    await at.direct.put(`${prefix}now`, '1');
    await mirror.until(() => mirror.state.has('now'));
    // However the old leases end: what is wished for is there again under new ones.
    await pause(6500);
    await mirror.until(() => mirror.state.size === 31);
    await mirror.agreesWith(at.direct, prefix);
    expect((await contentsOf(at.direct, `${prefix}mine/`)).size).toBe(10);
    stop.abort();
    await running;
  });
}
