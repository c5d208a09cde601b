import { expect, test } from '@jest/globals';
import { goClient, startEtcd } from '../../support/etcd.ts';
import { needs } from '../../support/probe.ts';
import { type EngineKind, serveEngine } from '../../support/served-engine.ts';

const describeIf = needs('etcd', 'go');
const scenarios = ['kv', 'watch', 'lease', 'concurrency', 'maintenance', 'large'];
const kinds: readonly EngineKind[] = ['memory', 'embedded'];

describeIf("etcd's own Go client (test/servers/goclient)", () => {
  test.each(scenarios)(
    'sees the same on real etcd and on ours: %s',
    async (scenario) => {
      await using etcd = await startEtcd();
      const theirs = await goClient(`127.0.0.1:${etcd.port}`, scenario);
      expect(theirs).toMatchObject({ code: 0, stderr: '' });
      expect(theirs.stdout.split('\n').length).toBeGreaterThan(5);
      for (const kind of kinds) {
        await using served = await serveEngine(kind);
        expect({ kind, ...(await goClient(served.endpoint, scenario)) }).toEqual({ kind, ...theirs });
      }
    },
    180_000,
  );
});
