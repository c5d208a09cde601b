import { expect, test } from '@jest/globals';
import type { Engine } from '../../../kvstore/contract/index.ts';
import { changed } from '../../support/changed-engine.ts';
import { startEtcd } from '../../support/etcd.ts';
import { needs } from '../../support/probe.ts';
import { type EngineKind, serveEngine } from '../../support/served-engine.ts';
import { compareLongReads } from './differential/long-reads.ts';
import { type Comparison, compareServers } from './differential/run.ts';

const describeIf = needs('etcd');

/** In full: `npm run soak -- etcd-differential`. */
const operations = Number(process.env['ISTHMUS_DIFFERENTIAL_OPERATIONS'] ?? 400);
const seeds = (process.env['ISTHMUS_DIFFERENTIAL_SEEDS'] ?? '1,2,3').split(',').map(Number);
const kinds: readonly EngineKind[] = ['memory', 'embedded'];
const cases = seeds.flatMap((seed) => kinds.map((kind) => ({ seed, kind })));
const timeoutMs = 60_000 + operations * 50;

async function compare(kind: EngineKind, seed: number, wrap?: (engine: Engine) => Engine): Promise<Comparison> {
  await using etcd = await startEtcd({ defaultTiming: true });
  await using ours = await serveEngine(kind, wrap ? { wrap } : {});
  return await compareServers(
    { theirs: etcd.port, ours: ours.port },
    {
      seed,
      operations,
      // Costs some seconds of waiting.
      expiries: seed === seeds[0] ? 1 : 0,
    },
  );
}

describeIf('the same random operations on real etcd and on ours', () => {
  test.each(cases)(
    'give the same answers and the same watch events (seed $seed, $kind)',
    async ({ seed, kind }) => {
      const { differences, coverage, watchEvents } = await compare(kind, seed);
      const done = Object.values(coverage).reduce((sum, one) => sum + one.done, 0);
      const ok = Object.values(coverage).reduce((sum, one) => sum + one.ok, 0);
      const counts = Object.entries(coverage).map(([name, one]) => `${name} ${one.ok}/${one.done}`);
      process.stdout.write(
        `differential, seed ${seed}, ${kind}: ${ok} of ${done} succeed (${counts.toSorted().join(', ')}), ${watchEvents} watch lines\n`,
      );
      expect(differences).toEqual([]);
      expect(Object.keys(coverage).length).toBe(12);
      expect(ok / done).toBeGreaterThanOrEqual(0.6);
      expect(watchEvents).toBeGreaterThan(operations / 4);
    },
    timeoutMs,
  );

  test(
    'give the same answers to reads that take many turns of the event loop',
    async () => {
      await using etcd = await startEtcd({ defaultTiming: true });
      await using ours = await serveEngine('embedded');
      const { differences, bytes } = await compareLongReads({ theirs: etcd.port, ours: ours.port }, seeds[0] ?? 1);
      expect(differences).toEqual([]);
      expect(bytes).toBeGreaterThan(3_000_000);
    },
    timeoutMs,
  );

  test.each([
    { defect: 'a delete of nothing makes a revision in its answer', wrap: deleteOfNothingCounts },
    { defect: 'a compacted revision is called a future one', wrap: compactedIsFuture },
    { defect: 'a watch loses one event in a hundred', wrap: watchLosesEvents },
  ])(
    'differ when $defect',
    async ({ wrap }) => {
      const found = await Promise.all(seeds.slice(0, 1).map((seed) => compare('memory', seed, wrap)));
      expect(found.flatMap(({ differences }) => differences).length).toBeGreaterThan(0);
    },
    timeoutMs,
  );
});

function deleteOfNothingCounts(engine: Engine): Engine {
  return changed(engine, {
    deleteRange: async (request) => {
      const answer = await engine.deleteRange(request);
      return answer.deleted === 0 ? { ...answer, revision: answer.revision + 1 } : answer;
    },
  });
}

function compactedIsFuture(engine: Engine): Engine {
  return changed(engine, {
    range: (request) =>
      engine.range(request).catch((error: Error) => {
        error.message = error.message.replace('has been compacted', 'is a future revision');
        throw error;
      }),
  });
}

function watchLosesEvents(engine: Engine): Engine {
  let count = 0;
  return changed(engine, {
    watch: (request, sink) =>
      engine.watch(request, {
        compacted: (revision) => sink.compacted(revision),
        failed: (error) => sink.failed(error),
        events: (events, revision) =>
          sink.events(
            events.filter(() => ++count % 100 !== 0),
            revision,
          ),
      }),
  });
}
