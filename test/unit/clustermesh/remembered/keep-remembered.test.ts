import { afterEach, describe, expect, test } from '@jest/globals';
import { type ClusterContent, keepRemembered } from '../../../../clustermesh/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { settle, westConfig } from '../remote/support.ts';

const content: ClusterContent = { config: westConfig, kinds: [] };

function keeping() {
  const clock = new VirtualClock();
  const calls: string[] = [];
  const state = { tookMs: 0, fails: false, mayWrite: true };
  const cluster = {
    name: 'west',
    clusterId: undefined as number | undefined,
    changes: 0,
    known: false,
    current: false,
    content: () => content,
  };
  const remembered = {
    save: async (_name: string, contentOf: () => ClusterContent) => {
      calls.push(`save ${cluster.changes}`);
      if (state.fails) throw new Error('No space left');
      contentOf();
      if (state.tookMs > 0) await clock.sleep(state.tookMs);
    },
    confirm: () => Promise.resolve(calls.push('confirm') > 0),
    forget: () => Promise.resolve(void calls.push('forget')),
  };
  const controller = new AbortController();
  const running = keepRemembered(
    cluster,
    { remembered, clock, log: silentLogger, mayWrite: () => state.mayWrite },
    controller.signal,
  );
  const pass = async (ms: number): Promise<string[]> => {
    for (let left = ms; left > 0; left -= 1000) {
      await clock.advance(Math.min(1000, left));
      await settle(3);
    }
    return calls.splice(0);
  };
  const stop = async (): Promise<string[]> => {
    controller.abort();
    await running;
    return calls.splice(0);
  };
  return { cluster, state, pass, stop };
}

describe('keeping what is known of a cluster', () => {
  const stops: (() => Promise<unknown>)[] = [];
  const begin = () => {
    const all = keeping();
    stops.push(all.stop);
    return all;
  };
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop();
  });

  test('waits while there is something more urgent, but not at the end', async () => {
    const { cluster, state, pass, stop } = begin();
    cluster.known = true;
    cluster.changes = 3;
    state.mayWrite = false;
    expect(await pass(60_000)).toEqual([]);
    expect(await stop()).toEqual(['save 3']);
  });

  test('writes nothing before everything was read, however much has come', async () => {
    const { cluster, pass } = begin();
    Object.assign(cluster, { clusterId: 2, changes: 9 });
    expect(await pass(60_000)).toEqual([]);
    cluster.known = true;
    expect(await pass(2000)).toEqual(['save 9']);
  });

  test('writes changes together, and nothing without a change', async () => {
    const { cluster, pass } = begin();
    Object.assign(cluster, { clusterId: 2, known: true, changes: 1 });
    expect(await pass(2000)).toEqual(['save 1']);
    cluster.changes = 2;
    expect(await pass(1000)).toEqual([]);
    cluster.changes = 3;
    expect(await pass(1000)).toEqual(['save 3']);
    expect(await pass(40_000)).toEqual([]);
  });

  test('confirms once a minute what is still so, but only while the cluster is followed', async () => {
    const { cluster, pass } = begin();
    Object.assign(cluster, { clusterId: 2, known: true, current: true, changes: 1 });
    expect(await pass(130_000)).toEqual(['save 1', 'confirm', 'confirm']);
    cluster.current = false;
    expect(await pass(130_000)).toEqual([]);
  });

  test('rests after a long write', async () => {
    const { cluster, state, pass } = begin();
    state.tookMs = 3000;
    Object.assign(cluster, { clusterId: 2, known: true, changes: 1 });
    expect(await pass(5000)).toEqual(['save 1']);
    cluster.changes = 2;
    expect(await pass(119_000)).toEqual([]);
    expect(await pass(2000)).toEqual(['save 2']);
    expect(await pass(3000)).toEqual([]);
  });

  test('forgets what was told under another id', async () => {
    const { cluster, pass } = begin();
    Object.assign(cluster, { clusterId: 2, known: true, changes: 1 });
    await pass(2000);
    Object.assign(cluster, { clusterId: 7, known: false, changes: 2 });
    expect(await pass(4000)).toEqual(['forget']);
    cluster.known = true;
    expect(await pass(2000)).toEqual(['save 2']);
  });

  test('tries again after half a minute what could not be written', async () => {
    const { cluster, state, pass } = begin();
    state.fails = true;
    Object.assign(cluster, { clusterId: 2, known: true, changes: 1 });
    expect(await pass(2000)).toEqual(['save 1']);
    state.fails = false;
    expect(await pass(29_000)).toEqual([]);
    expect(await pass(1000)).toEqual(['save 1']);
  });

  test('writes a last time when it ends', async () => {
    const { cluster, pass, stop } = begin();
    Object.assign(cluster, { clusterId: 2, known: true, changes: 1 });
    await pass(2000);
    cluster.changes = 2;
    expect(await stop()).toEqual(['save 2']);
  });
});
