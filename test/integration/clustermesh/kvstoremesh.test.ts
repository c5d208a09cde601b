import { readFileSync } from 'node:fs';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { etcdRemoteStores } from '../../../agent/index.ts';
import { KvstoreMesh, encodeTime, watchPeers } from '../../../clustermesh/index.ts';
import { type Store, toText } from '../../../kvstore/index.ts';
import { systemClock } from '../../../runtime/clock/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';
import { startConsul } from '../../support/consul.ts';
import { needs } from '../../support/probe.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';
import { clientOf as consulClientOf } from '../kvstore/consul/support.ts';
import { type Subject, clientOf, embeddedSubject, etcdSubject } from '../kvstore/etcd/subjects.ts';

jest.setTimeout(120_000);

const fixtures = new URL('../../fixtures/cilium/', import.meta.url);

describe('kvstoremesh between real stores', () => {
  let folder = '';
  const open: AsyncDisposable[] = [];
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'isthmus-kvstoremesh-'));
  });
  afterEach(async () => {
    for (const one of open.splice(0).toReversed()) await one[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const keep = <T extends AsyncDisposable>(one: T): T => {
    open.push(one);
    return one;
  };
  const start = (local: Store): { readonly mesh: KvstoreMesh; readonly stop: () => Promise<void> } => {
    const stopping = new AbortController();
    const deps = { clock: systemClock, log: silentLogger };
    const mesh = new KvstoreMesh(
      { clusterName: 'east', clusterId: 1 },
      {
        ...deps,
        store: local,
        openStore: etcdRemoteStores(deps),
        peers: (signal) => watchPeers({ directory: folder, ownCluster: 'east', ...deps, rescanMs: 200 }, signal),
      },
    );
    const done = mesh.run(stopping.signal).catch(() => undefined);
    const stop = async (): Promise<void> => {
      stopping.abort();
      await done;
    };
    keep({ [Symbol.asyncDispose]: stop });
    return { mesh, stop };
  };
  const peer = async (endpoint: string): Promise<void> => {
    // As a whole, or not at all.
    await writeFile(join(folder, '..peer'), `endpoints: ["${endpoint}"]\n`);
    await rename(join(folder, '..peer'), join(folder, 'cluster3'));
  };
  const ready = (mesh: KvstoreMesh): boolean => mesh.clusters()[0]?.ready === true;

  const scenarios = (startRemote: () => Promise<Subject>, startLocal: () => Promise<Local>): void => {
    const scene = async () => {
      const remoteSubject = keep(await startRemote());
      const localSubject = keep(await startLocal());
      const proxy = keep(await startTcpProxy(remoteSubject));
      const remote = keep(clientOf(remoteSubject));
      const local = keep(localSubject.open());
      for (const { key, value } of lines('cilium-state-sample.jsonl')) await remote.put(key, value);
      await remote.put('cilium/.heartbeat', encodeTime(Date.now()));
      await peer(proxy.endpoint);
      const { mesh, stop } = start(keep(localSubject.open()));
      await until(() => ready(mesh));
      return { remote, local, proxy, mesh, stop, localSubject };
    };

    test('the sample of a real cluster comes out as the real one makes it', async () => {
      const { local } = await scene();
      const expected = lines('cilium-cache-sample.jsonl').filter(({ key }) => key.startsWith('cilium/cache/'));
      const own = expected.filter(({ key }) => key.includes('/cluster3/'));
      expect(await contents(local, 'cilium/cache/')).toEqual(own.map(({ key, value }) => [key, value.toString('hex')]));
    });

    test('the next one leads when the first has stopped, and the first not again; neither writes what is there', async () => {
      const { local, remote, mesh: first, stop, localSubject } = await scene();
      const before = await contents(local, 'cilium/cache/');
      const { mesh: second } = start(keep(localSubject.open()));
      expect([first.leader, second.leader]).toEqual([true, false]);
      await stop();
      await until(() => second.leader && ready(second));
      expect(await contents(local, 'cilium/cache/')).toEqual(before);
      await remote.delete('cilium/state/nodes/v1/cluster3/worker-1');
      await remote.put('cilium/state/nodes/v1/cluster3/late', 'late');
      await until(async () =>
        (await valuesOf(local, 'cilium/cache/nodes/v1/cluster3/')).some(([key]) => key === 'late'),
      );
    });

    test('after a network that broke in every way it holds what the remote holds', async () => {
      const { remote, local, proxy, mesh } = await scene();
      const prefix = 'cilium/state/nodes/v1/cluster3/';
      let n = 0;
      const change = async (): Promise<void> => {
        n += 1;
        await remote.put(`${prefix}n${n}`, `node ${n}`);
        await remote.put(`${prefix}n${Math.max(1, n - 1)}`, `node ${n} again`);
        if (n > 3) await remote.delete(`${prefix}n${n - 3}`);
      };
      const arrived = async (): Promise<boolean> =>
        JSON.stringify(await valuesOf(local, 'cilium/cache/nodes/v1/cluster3/')) ===
        JSON.stringify(await valuesOf(remote, prefix));
      for (const breakIt of [
        () => proxy.cut(),
        () => proxy.cut({ reset: true }),
        () => proxy.stall(),
        () => proxy.cutAtByte(700),
      ]) {
        await change();
        breakIt();
        await change();
        await until(arrived);
      }
      await proxy.set('refuse');
      proxy.cut();
      const before = await contents(local, 'cilium/cache/');
      await until(() => !ready(mesh));
      await change();
      expect(await contents(local, 'cilium/cache/')).toEqual(before);
      await proxy.set('pass');
      await until(arrived);
      await until(() => ready(mesh));
    });
  };

  describe('of ours, over the wire', () => {
    scenarios(embeddedSubject, overEtcd(embeddedSubject));
  });
  needs('etcd')('from etcd into etcd', () => {
    scenarios(etcdSubject, overEtcd(etcdSubject));
  });
  needs('etcd', 'consul')('from etcd into Consul', () => {
    scenarios(etcdSubject, consulLocal);
  });
});

/** The own cluster's store, which each process opens for itself. */
interface Local extends AsyncDisposable {
  open(): Store;
}

function overEtcd(start: () => Promise<Subject>): () => Promise<Local> {
  return async () => {
    const subject = await start();
    return { open: () => clientOf(subject), [Symbol.asyncDispose]: () => subject[Symbol.asyncDispose]() };
  };
}

async function consulLocal(): Promise<Local> {
  const consul = await startConsul();
  return { open: () => consulClientOf(consul), [Symbol.asyncDispose]: () => consul[Symbol.asyncDispose]() };
}

function lines(name: string): { key: string; value: Buffer }[] {
  return readFileSync(new URL(name, fixtures), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { key: string; value?: string; valueBase64?: string })
    .map(({ key, value, valueBase64 }) => ({
      key,
      value: valueBase64 === undefined ? Buffer.from(value ?? '') : Buffer.from(valueBase64, 'base64'),
    }));
}

async function contents(store: Pick<Store, 'list'>, prefix: string): Promise<[string, string][]> {
  const found: [string, string][] = [];
  for await (const { entries } of store.list(prefix))
    for (const { key, value } of entries) found.push([toText(key), Buffer.from(value).toString('hex')]);
  return found;
}

async function valuesOf(store: Pick<Store, 'list'>, prefix: string): Promise<[string, string][]> {
  return (await contents(store, prefix)).map(([key, value]) => [key.slice(prefix.length), value]);
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const giveUpMs = performance.now() + 100_000; !(await holds());) {
    if (performance.now() > giveUpMs) throw new Error(`This did not come true: ${String(holds)}`);
    await systemClock.sleep(20);
  }
}
