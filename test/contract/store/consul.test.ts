import { jest } from '@jest/globals';
import { openConsulStore } from '../../../kvstore/index.ts';
import { systemClock } from '../../../runtime/clock/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';
import { type ConsulProcess, startConsul, startConsulCluster } from '../../support/consul.ts';
import { needs } from '../../support/probe.ts';
import { describeStore } from './describe-store.ts';
import type { OpenedStore } from './fixture.ts';

jest.setTimeout(90_000);

/** What Consul cannot promise (docs/consul.md). */
const promises = {
  history: false,
  denseRevisions: false,
  everyEvent: false,
  countsVersions: false,
  keysOfAnyBytes: false,
  prefixDeletedAtOnce: false,
  maxValueBytes: 512 * 1024,
};

interface Backing extends AsyncDisposable {
  readonly servers: readonly ConsulProcess[];
  readonly restart: () => Promise<void>;
}

async function single(mode: 'dev' | 'disk'): Promise<Backing> {
  const server = await startConsul({ mode });
  return {
    servers: [server],
    restart: () => server.restart(),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** What befalls it is the end of its leader, which comes back once another leads. */
async function three(): Promise<Backing> {
  const cluster = await startConsulCluster();
  return {
    servers: cluster.members,
    restart: async () => {
      const leader = await cluster.leader();
      await leader.kill();
      await cluster.leader();
      await leader.restart();
    },
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
}

needs('consul')('with a real server', () => {
  const openOn = (start: () => Promise<Backing>) => async (): Promise<OpenedStore> => {
    const backing = await start();
    const addresses = backing.servers.map(({ endpoint }) => endpoint);
    const connect = () => openConsulStore({ addresses, clock: systemClock, log: silentLogger });
    const store = connect();
    return {
      store,
      another: async () => connect(),
      restart: async () => {
        await backing.restart();
        return store;
      },
      // There is no history that could be compacted.
      compact: async () => undefined,
      revokeLease: async (id) => {
        const hex = id.toString(16).padStart(32, '0');
        const session = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
        await backing.servers[0]?.call('PUT', `/v1/session/destroy/${session}`);
      },
      dispose: async () => {
        await store[Symbol.asyncDispose]();
        await backing[Symbol.asyncDispose]();
      },
    };
  };
  const traits = { promises, openTimeoutMs: 600_000 };
  const lasting = { ...traits, restarts: true, resumes: true };
  describeStore(
    'Store of Consul 1.22, dev agent',
    openOn(() => single('dev')),
    traits,
  );
  describeStore(
    'Store of Consul 1.22, a server on disk',
    openOn(() => single('disk')),
    lasting,
  );
  describeStore('Store of Consul 1.22, three servers that lose their leader', openOn(three), lasting);
});
