import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConsulStoreOptions, type Store, openConsulStore } from '../../../../kvstore/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { type ConsulProcess, startConsul, startConsulCluster } from '../../../support/consul.ts';
import type { Disturb, Guarded, OpenedStore, StorePromises } from '../suite/index.ts';
import { behindProxies } from './breakable.ts';

/** What Consul cannot promise (docs/consul.md). */
export const consulPromises: Partial<StorePromises> = {
  history: false,
  denseRevisions: false,
  everyEvent: false,
  countsVersions: false,
  keysOfAnyBytes: false,
  prefixDeletedAtOnce: false,
  maxValueBytes: 512 * 1024,
  endsOnTime: false,
  elsewhere: true,
};

const client = (addresses: readonly string[], more: Partial<ConsulStoreOptions> = {}): Store =>
  openConsulStore({ addresses, clock: systemClock, log: silentLogger, ...more });

/** One server: in memory, or on disk. */
export async function openConsul(mode: 'dev' | 'disk'): Promise<OpenedStore> {
  const server = await startConsul({ mode });
  return opened(
    [server],
    (store) => ({
      guarded: guardedConsul,
      ...(mode === 'dev'
        ? {}
        : {
            restart: async () => {
              await server.restart();
              return store;
            },
            wipe: () => server.wipe(),
            backup: async () => {
              const copy = Buffer.from(await (await fetch(`${server.endpoint}/v1/snapshot`)).arrayBuffer());
              return async () => {
                const { status, text } = await server.call('PUT', '/v1/snapshot', copy);
                if (status !== 200) throw new Error(`Consul does not take its snapshot back: ${text}`);
              };
            },
          }),
    }),
    async () => server[Symbol.asyncDispose](),
  );
}

/** Three servers on disk. */
export async function openConsulCluster(): Promise<OpenedStore> {
  const cluster = await startConsulCluster();
  const killLeader = async (): Promise<() => Promise<void>> => {
    const leader = await cluster.leader();
    await leader.kill();
    await cluster.leader();
    return () => leader.restart();
  };
  return opened(
    cluster.members,
    (store) => ({
      restart: async () => {
        const bringBack = await killLeader();
        await bringBack();
        return store;
      },
      killLeader,
    }),
    async () => cluster[Symbol.asyncDispose](),
  );
}

function opened(
  servers: readonly ConsulProcess[],
  disturb: (store: Store) => Disturb,
  dispose: () => Promise<void>,
): OpenedStore {
  const connect = (): Store => client(servers.map(({ endpoint }) => endpoint));
  const store = connect();
  return {
    store,
    another: async () => connect(),
    // There is no history that could be compacted.
    compact: async () => undefined,
    revokeLease: async (id) => {
      const hex = id.toString(16).padStart(32, '0');
      const session = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
      await servers[0]?.call('PUT', `/v1/session/destroy/${session}`);
    },
    disturb: {
      breakable: () =>
        behindProxies(
          servers.map(({ port }) => ({ host: '127.0.0.1', port })),
          (ports) =>
            client(
              ports.map((port) => `http://127.0.0.1:${port}`),
              { callTimeoutMs: 4000, waitSeconds: 2 },
            ),
        ),
      ...disturb(store),
    },
    dispose: async () => {
      await store[Symbol.asyncDispose]();
      await dispose();
    },
  };
}

/** A Consul of its own that denies by default. */
async function guardedConsul(): Promise<Guarded> {
  const managementToken = randomUUID();
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-contract-consul-'));
  const server = await startConsul({ managementToken });
  const json = async (path: string, body: unknown): Promise<Record<string, string>> => {
    const { status, text } = await server.call('PUT', path, JSON.stringify(body));
    if (status !== 200) throw new Error(`${path}: ${status} ${text}`);
    return JSON.parse(text) as Record<string, string>;
  };
  const as = (name: string, token: string): Store => {
    const tokenFile = join(folder, name);
    writeFileSync(tokenFile, token, { mode: 0o600 });
    return client([server.endpoint], { tokenFile, waitSeconds: 2 });
  };
  const policy = async (name: string, Rules: string): Promise<Record<string, string>> => {
    await json('/v1/acl/policy', { Name: name, Rules });
    return json('/v1/acl/token', { Policies: [{ Name: name }] });
  };
  const rules = 'key_prefix "open/" { policy = "read" } key_prefix "open/rw/" { policy = "write" }';
  const made = await policy('reader', rules);
  const owner = as('owner', managementToken);
  const reader = as('reader', made['SecretID'] ?? '');
  const stranger = as('stranger', (await policy('stranger', ''))['SecretID'] ?? '');
  return {
    owner,
    reader,
    stranger,
    revokeReader: async () => void (await server.call('DELETE', `/v1/acl/token/${made['AccessorID']}`)),
    [Symbol.asyncDispose]: async () => {
      for (const store of [owner, reader, stranger]) await store[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
