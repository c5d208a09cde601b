import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { expect, test } from '@jest/globals';
import {
  EngineStore,
  IdentityAllocator,
  type KeyValue,
  NumberHolder,
  type Said,
  type Store,
  claimTerm,
  fencedStore,
  openConsulStore,
  openEmbeddedEngine,
  openEtcdStore,
  toText,
} from '../../../kvstore/index.ts';
import { systemClock } from '../../../runtime/clock/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';
import { TaskGroup } from '../../../runtime/tasks/index.ts';
import { startConsul } from '../../support/consul.ts';
import { startEtcd } from '../../support/etcd.ts';
import { type Need, needs } from '../../support/probe.ts';

const common = { clock: systemClock, log: silentLogger };
const prefix = 'cilium/state/identities/v1/id/';
const referencePrefix = 'cilium/state/identities/v1/value/';
const lockPrefix = 'cilium/state/identities/v1/locks/id/';
const range = { min: 256, max: 300 };

interface Kind {
  readonly name: string;
  readonly need: readonly Need[];
  /** Runs with a store of its own. */
  readonly within: (run: (store: Store) => Promise<void>) => Promise<void>;
}

const kinds: readonly Kind[] = [
  {
    name: 'the embedded store',
    need: [],
    within: async (run) => {
      const folder = await mkdtemp(join(tmpdir(), 'isthmus-allocator-'));
      try {
        await using engine = await openEmbeddedEngine({ directory: join(folder, 'data'), ...common });
        await using store = new EngineStore(engine, { clock: systemClock, endpoint: 'embedded' });
        await run(store);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  },
  {
    name: 'etcd',
    need: ['etcd'],
    within: async (run) => {
      await using server = await startEtcd();
      await using store = openEtcdStore({ endpoints: [server.endpoint], ...common });
      await run(store);
    },
  },
  {
    name: 'Consul',
    need: ['consul'],
    within: async (run) => {
      await using server = await startConsul();
      await using store = openConsulStore({ addresses: [server.endpoint], ...common });
      await run(store);
    },
  },
];

for (const { name, need, within } of kinds)
  needs(...need)(`numbers for texts in ${name}`, () => {
    test('keep their meaning across nodes, collection and a wiped store', async () => {
      await within(async (store) => {
        const stop = AbortSignal.timeout(60_000);
        const open = async (options: { readonly opening?: () => Promise<void>; readonly graceMs?: number } = {}) => {
          const all = { store, prefix, referencePrefix, lockPrefix, range, ...common, ...options };
          const allocator = new IdentityAllocator(all);
          await allocator.load(stop);
          return allocator;
        };
        const content = async (): Promise<Record<string, string>> => {
          const found: Record<string, string> = {};
          for await (const page of store.list(prefix))
            for (const { key, value } of page.entries) found[toText(key).slice(prefix.length)] = toText(value);
          return found;
        };

        // Two allocators at once: every text one number, every number one text.
        const texts = Array.from({ length: 20 }, (_, i) => `k8s:app=a${i}/b;`);
        const [left, right] = [await open(), await open()];
        const given = await Promise.all(
          texts.flatMap((text) => [left.allocate(text, stop), right.allocate(text, stop)]),
        );
        const stored = await content();
        for (const [i, id] of given.entries()) expect(stored[id]).toBe(texts[i >> 1]);

        // A node says what it uses; the store is emptied under it.
        const lease = await store.grantLease({ ttlSeconds: 60 });
        const holding = { store, prefix, referencePrefix, holder: '10.0.0.1', lease: () => lease.id };
        const node = new NumberHolder(holding);
        const used = texts.slice(0, 5).map((text) => [text, left.idOf(text) ?? 0] as const);
        for (const [text, id] of used) expect(await node.hold(text, id, stop)).toBeUndefined();
        await store.deletePrefix('cilium/state/identities/');

        // New numbers wait for the node; what it uses stays what it was, and nothing else gets it.
        const asserted = Promise.withResolvers<void>();
        const after = await open({ opening: () => asserted.promise, graceMs: 1 });
        const others = Array.from({ length: 30 }, (_, i) => `k8s:app=other${i};`);
        const waiting = Promise.all(others.map((text) => after.allocate(text, stop)));
        expect(await node.assert(stop)).toEqual([]);
        asserted.resolve();
        const fresh = new Set(await waiting);
        expect(fresh.size).toBe(others.length);
        for (const [text, id] of used) expect([after.idOf(text), fresh.has(id)]).toEqual([id, false]);

        // Keys that somebody deletes or overwrites come back.
        const ended = new AbortController();
        const running = after.run(ended.signal);
        const whole = await content();
        const [one, two] = [...fresh].map((id) => `${prefix}${id}`);
        for (const interfere of [() => store.delete(one ?? ''), () => store.put(two ?? '', 'k8s:app=somebody-else;')]) {
          await interfere();
          while (!isDeepStrictEqual(await content(), whole)) await systemClock.sleep(50, stop);
        }

        // Unreferenced ones go; those that the node uses stay.
        for (const text of others) after.release(text);
        after.startCollecting();
        for (let left = others.length; left > 0;) {
          stop.throwIfAborted();
          await systemClock.sleep(50, stop);
          left = Object.values(await content()).filter((text) => others.includes(text)).length;
        }
        ended.abort();
        await running.catch(() => undefined);
        expect(await content()).toEqual(Object.fromEntries(used.map(([text, id]) => [id, text])));
        await lease.revoke();
      });
    }, 120_000);

    test('come back many at once to who leads: lost, taken on both sides, and told by nodes after a start', async () => {
      await within(async (store) => {
        const stop = AbortSignal.timeout(60_000);
        const hiddenPrefix = 'isthmus/v1/hidden-identities/';
        const holders = {
          prefix: 'isthmus/v1/held/',
          read: (_holder: string, { value }: KeyValue) => JSON.parse(toText(value)) as Said,
        };
        const election = { status: () => ({ identity: 'x', leading: true }), confirm: async () => true };
        const fence = await claimTerm({ store, key: 'isthmus/v1/term', election, clock: systemClock }, stop);
        const led = fencedStore(store, fence, () => undefined);
        const open = async () => {
          const all = { prefix, hiddenPrefix, holders, range: { min: 256, max: 400 }, ...common };
          const allocator = new IdentityAllocator({ store: led, ...all });
          await allocator.load(stop);
          return allocator;
        };
        const content = async (): Promise<Record<string, string>> => {
          const found: Record<string, string> = {};
          for (const from of [prefix, hiddenPrefix])
            for await (const page of store.list(from))
              for (const { key, value } of page.entries) found[toText(key)] = toText(value);
          return found;
        };
        const becomes = async (expected: Record<string, string>): Promise<void> => {
          while (!isDeepStrictEqual(await content(), expected)) await systemClock.sleep(50, stop);
        };

        const allocator = await open();
        const texts = Array.from({ length: 70 }, (_, i) => `k8s:app=a${i};k8s:team=b;`.padEnd(400, 'x'));
        const ids: number[] = [];
        for (const [i, text] of texts.entries()) ids.push(await allocator.allocate(text, stop, { hidden: i >= 60 }));
        const whole = await content();
        {
          await using tasks = new TaskGroup(stop);
          tasks.run((running) => allocator.run(running));
          await store.deletePrefix(prefix);
          await store.deletePrefix(hiddenPrefix);
          await becomes(whole);
          // Each at both places, and more than go into a request: four operations each.
          await store.transact({
            when: [],
            then: ids
              .slice(0, 60)
              .flatMap((id) =>
                [prefix, hiddenPrefix].map((from) => ({ type: 'put', key: `${from}${id}`, value: 'another' }) as const),
              ),
          });
          await becomes(whole);
        }

        await store.deletePrefix(prefix);
        await store.deletePrefix(hiddenPrefix);
        const references = texts.map((text, i) => ({ id: ids[i], text, hidden: i >= 60 }));
        await store.put(`${holders.prefix}n1`, JSON.stringify({ references }));
        const next = await open();
        expect(await content()).toEqual(whole);
        expect([next.size, next.conflicts, ids.map((_, i) => next.idOf(texts[i] ?? ''))]).toEqual([70, [], ids]);
      });
    }, 120_000);
  });
