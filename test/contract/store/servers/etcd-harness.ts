import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EtcdStoreOptions, type Store, openEtcdStore } from '../../../../kvstore/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { startEtcdCluster } from '../../../support/etcd-cluster.ts';
import { type EtcdProcess, etcdctl, startEtcd } from '../../../support/etcd.ts';
import type { Guarded, OpenedStore } from '../suite/index.ts';
import { behindProxies } from './breakable.ts';

/** For lines that the suite breaks: what hangs is noticed soon. */
export const impatient = { callTimeoutMs: 4000, pingIntervalMs: 500, pingTimeoutMs: 700, dialTimeoutMs: 1500 };

/** A client of some etcd, by the ports of loopback where it listens. */
export function etcdClient(ports: readonly number[], more: Partial<EtcdStoreOptions> = {}): Store {
  const endpoints = ports.map((port) => `http://127.0.0.1:${port}`);
  return openEtcdStore({ endpoints, clock: systemClock, log: silentLogger, ...more });
}

/** Real etcd, one member. */
export async function openEtcd(): Promise<OpenedStore> {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-contract-etcd-'));
  const server = await startEtcd({ dataDir: join(folder, 'data') });
  const store = etcdClient([server.port]);
  const startAgain = async (change: () => void): Promise<void> => {
    await server.kill();
    change();
    await server.restart();
  };
  return {
    ...common([server], store),
    disturb: {
      restart: async () => {
        await server.restart();
        return store;
      },
      breakable: () => behindProxies([server], (ports) => etcdClient(ports, impatient)),
      wipe: () => startAgain(() => rmSync(server.dataDir, { recursive: true })),
      backup: async () => {
        const copy = mkdtempSync(join(folder, 'copy-'));
        await startAgain(() => cpSync(server.dataDir, copy, { recursive: true }));
        return () =>
          startAgain(() => {
            rmSync(server.dataDir, { recursive: true });
            cpSync(copy, server.dataDir, { recursive: true });
          });
      },
      guarded: guardedEtcd,
    },
    dispose: async () => {
      await store[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Real etcd, three members. */
export async function openEtcdCluster(): Promise<OpenedStore> {
  const cluster = await startEtcdCluster();
  const { members } = cluster;
  const ports = members.map(({ port }) => port);
  const store = etcdClient(ports);
  const killLeader = async (): Promise<() => Promise<void>> => {
    const leader = await cluster.leader();
    await leader.kill();
    await cluster.leader();
    return async () => {
      await leader.restart();
      await cluster.leader();
    };
  };
  return {
    ...common(members, store),
    disturb: {
      restart: async () => {
        const bringBack = await killLeader();
        await bringBack();
        return store;
      },
      killLeader,
      breakable: () => behindProxies(members, (at) => etcdClient(at, impatient)),
    },
    dispose: async () => {
      await store[Symbol.asyncDispose]();
      await cluster[Symbol.asyncDispose]();
    },
  };
}

function common(
  members: readonly EtcdProcess[],
  store: Store,
): Pick<OpenedStore, 'store' | 'another' | 'compact' | 'revokeLease'> {
  const all = members.map(({ endpoint }) => endpoint).join(',');
  return {
    store,
    another: async () => etcdClient(members.map(({ port }) => port)),
    compact: (revision) => run(all, ['compact', `${revision}`]),
    revokeLease: (id) => run(all, ['lease', 'revoke', id.toString(16)]),
  };
}

async function run(endpoints: string, args: readonly string[]): Promise<void> {
  const { code, stderr } = await etcdctl(endpoints, args);
  if (code !== 0) throw new Error(`etcdctl ${args.join(' ')}: ${stderr}`);
}

/** An etcd of its own with users, since authentication is for a whole etcd. */
async function guardedEtcd(): Promise<Guarded> {
  const server = await startEtcd();
  const users = [
    ['user', 'add', 'root:root'],
    ['user', 'grant-role', 'root', 'root'],
    ['role', 'add', 'open'],
    ['role', 'grant-permission', 'open', 'read', '--prefix', 'open/'],
    ['role', 'grant-permission', 'open', 'readwrite', '--prefix', 'open/rw/'],
    ['user', 'add', 'reader:reader'],
    ['user', 'grant-role', 'reader', 'open'],
    ['user', 'add', 'stranger:stranger'],
    ['auth', 'enable'],
  ];
  for (const step of users) await run(server.endpoint, step);
  const as = (name: string): Store => etcdClient([server.port], { username: name, password: name });
  const [owner, reader, stranger] = [as('root'), as('reader'), as('stranger')];
  return {
    owner,
    reader,
    stranger,
    revokeReader: () => run(server.endpoint, ['--user=root:root', 'user', 'revoke-role', 'reader', 'open']),
    [Symbol.asyncDispose]: async () => {
      for (const store of [owner, reader, stranger]) await store[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}
