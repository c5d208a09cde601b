import { describe, expect, jest, test } from '@jest/globals';
import { SyncStore } from '../../../kvstore/index.ts';
import { systemClock } from '../../../runtime/clock/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';
import { needs } from '../../support/probe.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';
import { contentsOf } from './etcd/mirror.ts';
import { type Subject, clientOf, embeddedSubject, etcdSubject } from './etcd/subjects.ts';

jest.setTimeout(60_000);

const prefix = 'cilium/state/nodes/v1/';

async function untilSize(store: Parameters<typeof contentsOf>[0], size: number): Promise<void> {
  const deadline = performance.now() + 40_000;
  while ((await contentsOf(store, prefix)).size !== size) {
    if (performance.now() > deadline) throw new Error(`Never ${size} keys`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function scenarios(start: () => Promise<Subject>): void {
  const publish = async (
    break_: (at: { subject: Subject; cut: () => Promise<void>; heal: () => Promise<void> }) => Promise<void>,
  ) => {
    await using subject = await start();
    await using proxy = await startTcpProxy(subject);
    await using direct = clientOf(subject);
    await using store = clientOf({ host: '127.0.0.1', port: proxy.port }, { callTimeoutMs: 1000 });
    await using sync = new SyncStore({
      store,
      clock: systemClock,
      log: silentLogger,
      scope: 'nodes',
      leaseTtlSeconds: 2,
      maxKeysPerLease: 100,
    });
    const stopping = new AbortController();
    const running = sync.run(stopping.signal);
    try {
      for (let i = 0; i < 250; i++) sync.set(`${prefix}${i}`, `node ${i}`);
      await sync.synced();
      await break_({
        subject,
        cut: async () => {
          await proxy.set('refuse');
          proxy.cut();
        },
        heal: () => proxy.set('pass'),
      });
      sync.set(`${prefix}250`, 'node 250');
      sync.delete(`${prefix}0`);
      await sync.synced();
      await untilSize(direct, 250);
      expect((await contentsOf(direct, prefix)).has('0')).toBe(false);
      // Every key lives under a lease that is being renewed.
      await new Promise((resolve) => setTimeout(resolve, 3000));
      expect((await contentsOf(direct, prefix)).size).toBe(250);
    } finally {
      stopping.abort();
      await running;
    }
  };

  test('writes all keys again when it was cut off for longer than its leases live', async () => {
    await publish(async ({ subject, cut, heal }) => {
      await using direct = clientOf(subject);
      await cut();
      await untilSize(direct, 0);
      await heal();
    });
  });

  test('writes all keys again when the store was wiped', async () => {
    await publish(async ({ subject }) => subject.wipe());
  });

  test('keeps its keys when the store is killed and comes back', async () => {
    await publish(async ({ subject }) => {
      await subject.kill();
      await subject.restart();
    });
  });
}

describe('a sync store over the embedded store', () => {
  scenarios(embeddedSubject);
});

needs('etcd')('a sync store over etcd 3.6', () => {
  scenarios(etcdSubject);
});
