import { jest } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Engine, type EtcdServer, openEmbeddedEngine, openEtcdStore, serveEtcd } from '../../../kvstore/index.ts';
import { systemClock } from '../../../runtime/clock/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';
import { describeStore } from './describe-store.ts';

jest.setTimeout(60_000);

describeStore(
  'Store embedded, over the wire',
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'isthmus-contract-'));
    const dependencies = { clock: systemClock, log: silentLogger };
    const start = async (port: number): Promise<{ readonly engine: Engine; readonly server: EtcdServer }> => {
      const engine = await openEmbeddedEngine({ directory, ...dependencies });
      return { engine, server: await serveEtcd({ engine, listen: { host: '127.0.0.1', port }, ...dependencies }) };
    };
    let running = await start(0);
    const { port } = running.server.address();
    const stop = async (): Promise<void> => {
      await running.server[Symbol.asyncDispose]();
      await running.engine[Symbol.asyncDispose]();
    };
    const connect = () => openEtcdStore({ endpoints: [`http://127.0.0.1:${port}`], ...dependencies });
    const store = connect();
    return {
      store,
      another: async () => connect(),
      restart: async () => {
        await stop();
        running = await start(port);
        return store;
      },
      compact: (revision) => running.engine.compact(revision),
      revokeLease: (id) => running.engine.leaseRevoke(id),
      dispose: async () => {
        await store[Symbol.asyncDispose]();
        await stop();
        rmSync(directory, { recursive: true, force: true });
      },
    };
  },
  { restarts: true, resumes: true },
);
