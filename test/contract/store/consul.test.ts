import { jest } from '@jest/globals';
import { openConsulStore } from '../../../kvstore/index.ts';
import { systemClock } from '../../../runtime/clock/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';
import { startConsul } from '../../support/consul.ts';
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

needs('consul')('with a real server', () => {
  const openOn = (mode: 'dev' | 'disk') => async (): Promise<OpenedStore> => {
    const server = await startConsul({ mode });
    const connect = () => openConsulStore({ addresses: [server.endpoint], clock: systemClock, log: silentLogger });
    const store = connect();
    return {
      store,
      another: async () => connect(),
      restart: async () => {
        await server.restart();
        return store;
      },
      // There is no history that could be compacted.
      compact: async () => undefined,
      revokeLease: async (id) => {
        const hex = id.toString(16).padStart(32, '0');
        const session = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
        await server.call('PUT', `/v1/session/destroy/${session}`);
      },
      dispose: async () => {
        await store[Symbol.asyncDispose]();
        await server[Symbol.asyncDispose]();
      },
    };
  };
  describeStore('Store of Consul 1.22, dev agent', openOn('dev'), { promises, openTimeoutMs: 600_000 });
  describeStore('Store of Consul 1.22, a server on disk', openOn('disk'), {
    promises,
    restarts: true,
    resumes: true,
    openTimeoutMs: 600_000,
  });
});
