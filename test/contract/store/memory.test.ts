import { jest } from '@jest/globals';
import { EngineStore, MemoryEngine } from '../../../kvstore/index.ts';
import { systemClock } from '../../../runtime/clock/index.ts';
import { describeStore } from './suite/index.ts';

jest.setTimeout(120_000);

describeStore('Store in memory', async () => {
  const engine = new MemoryEngine({ clock: systemClock });
  const open = (): EngineStore => new EngineStore(engine, { clock: systemClock, endpoint: 'memory' });
  const store = open();
  return {
    store,
    another: async () => open(),
    compact: (revision) => engine.compact(revision),
    revokeLease: (id) => engine.leaseRevoke(id),
    dispose: async () => {
      await store[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
    },
  };
});
