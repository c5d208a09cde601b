import { jest } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EngineStore, type Store, openEmbeddedEngine } from '../../../kvstore/index.ts';
import { systemClock } from '../../../runtime/clock/index.ts';
import { describeStore } from './suite/index.ts';

jest.setTimeout(120_000);

describeStore(
  'Store embedded in the process',
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'isthmus-contract-'));
    const open = () => openEmbeddedEngine({ directory, clock: systemClock });
    let engine = await open();
    const storeOver = (): Store => new EngineStore(engine, { clock: systemClock, endpoint: directory });
    let store = storeOver();
    return {
      store,
      another: async () => storeOver(),
      disturb: {
        restart: async () => {
          await store[Symbol.asyncDispose]();
          await engine[Symbol.asyncDispose]();
          engine = await open();
          store = storeOver();
          return store;
        },
      },
      compact: (revision) => engine.compact(revision),
      revokeLease: (id) => engine.leaseRevoke(id),
      dispose: async () => {
        await store[Symbol.asyncDispose]();
        await engine[Symbol.asyncDispose]();
        rmSync(directory, { recursive: true, force: true });
      },
    };
  },
  { disturbances: ['restart'] },
);
