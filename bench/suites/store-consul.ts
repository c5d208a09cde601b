import { EventEmitter } from 'node:events';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import Consul from 'consul';
import { type ConsulStore, openConsulStore, toText } from '../../kvstore/index.ts';
import { systemClock } from '../../runtime/clock/index.ts';
import { silentLogger } from '../../runtime/log/index.ts';
import { type ConsulProcess, consulVersion, startConsul } from '../../test/support/consul.ts';
import { keepRuns } from '../raw-runs.ts';
import { type RowSpec, type Suite, type SuiteContext, median } from '../suite.ts';

const rival = 'consul package';
const keys = 10_000;
const valueBytes = 240;
const puts = 500;
const putsPerSecond = 100;
const wakeUps = 40;
const prefix = 'cilium/state/ip/v1/';

const strangersName = 'consul: put to seen, 10k keys, 100 puts/s by others, p50';
const oursName = 'consul: put to seen, 10k keys, 100 puts/s of ours, p50';
const timeName = 'consul: one change at 10k keys, put to seen';
const cpuName = 'consul: one change at 10k keys, CPU of the watcher';

const less = { better: 'less' } as const;
const rows: readonly RowSpec[] = [
  { name: strangersName, unit: 'ms', ...less, bar: 5, aim: 1.5 },
  { name: oursName, unit: 'ms', ...less, bar: 3, aim: 1.5 },
  { name: timeName, unit: 'ms', rival, ...less, bar: 0.85, aim: 0.6 },
  { name: cpuName, unit: 'ms', rival, ...less, bar: 0.6, aim: 0.4 },
];

/**
 * A watch of 10,000 keys in a real Consul: how late changes come, and what a change costs against the `consul` package. Every
 * single run is kept in `bench/raw/store-consul.json`.
 */
export const suite: Suite = {
  name: 'store-consul',
  summary: `a watch of ${keys.toLocaleString('en')} keys in Consul ${consulVersion}, against the consul package`,
  rows,
  measure: async (context) => {
    context.note('starting Consul (built and cached when missing)');
    await using server = await startConsul({ mode: 'disk' });
    await using writer = open(server);
    using stranger = new Stranger(server);
    await fill(writer);
    const runs: Record<string, unknown> = {};
    const kept = (name: string, taken: readonly number[]): { readonly value: number } => {
      runs[name] = taken;
      return { value: median(taken) };
    };
    await measure(context, strangersName, async () => {
      await using reader = await Reader.of(open(server));
      return kept(strangersName, await delays(reader, (key, value) => stranger.put(key, value)));
    });
    await measure(context, oursName, async () => {
      const { id } = await writer.grantLease({ ttlSeconds: 600 });
      await using reader = await Reader.of(open(server));
      return kept(oursName, await delays(reader, (key, value) => writer.put(key, value, { lease: id })));
    });
    context.note('one change after another, by turns');
    const ours: Cost[] = [];
    const theirs: Cost[] = [];
    for (let round = 0; round < 3; round++) {
      context.signal.throwIfAborted();
      await using reader = await Reader.of(open(server));
      ours.push(await costOf(reader, stranger));
      await using other = await Reader.ofPackage(server);
      theirs.push(await costOf(other, stranger));
    }
    const middle = (costs: readonly Cost[], of: keyof Cost): number => median(costs.map((cost) => cost[of]));
    runs[timeName] = { ours, theirs };
    await keepRuns('store-consul', { rival }, runs);
    context.record(timeName, { value: middle(ours, 'ms'), against: middle(theirs, 'ms') });
    context.record(cpuName, { value: middle(ours, 'cpuMs'), against: middle(theirs, 'cpuMs') });
  },
};

async function measure(
  { note, record, fail }: SuiteContext,
  name: string,
  run: () => Promise<{ readonly value: number }>,
): Promise<void> {
  note(name);
  try {
    record(name, await run());
  } catch (error) {
    fail(name, error);
  }
}

function open(server: ConsulProcess): ConsulStore {
  return openConsulStore({ addresses: [server.endpoint], clock: systemClock, log: silentLogger });
}

function keyOf(i: number): string {
  return `${prefix}default/10.${i >> 12}.${(i >> 6) & 63}.${i & 63}`;
}

async function fill(writer: ConsulStore): Promise<void> {
  for (let from = 0; from < keys; from += 100)
    await writer.transact({
      when: [],
      then: Array.from({ length: 100 }, (_, i) => ({
        type: 'put',
        key: keyOf(from + i),
        value: 'v'.repeat(valueBytes),
      })),
    });
}

/** Somebody who writes without knowing of us: plain puts over one connection each. */
class Stranger implements Disposable {
  readonly #agent = new Agent({ keepAlive: true });
  readonly #server: ConsulProcess;

  constructor(server: ConsulProcess) {
    this.#server = server;
  }

  put(key: string, value: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const { port } = this.#server;
      const path = `/v1/kv/${encodeURIComponent(key)}`;
      const sent = request({ agent: this.#agent, host: '127.0.0.1', port, method: 'PUT', path }, (answer) => {
        answer.resume().once('end', resolve);
      });
      sent.once('error', reject);
      sent.end(value);
    });
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

/** Sees values that begin with a stamp, and says when. */
class Reader implements AsyncDisposable {
  readonly #stopping = new AbortController();
  readonly #waiting = new Map<string, () => void>();
  #done: Promise<unknown> = Promise.resolve();
  #close: () => PromiseLike<void> = () => Promise.resolve();

  /** Through our adapter. */
  static async of(store: ConsulStore): Promise<Reader> {
    const reader = new Reader();
    const { promise: synced, resolve, reject } = Promise.withResolvers<void>();
    const read = async (): Promise<void> => {
      for await (const batch of store.listAndWatch(prefix, { signal: reader.#stopping.signal })) {
        if (batch.type === 'synced') resolve();
        if (batch.type !== 'changes') continue;
        for (const event of batch.events)
          if (event.type === 'put') reader.#saw(toText(event.entry.value.subarray(0, 16)));
      }
    };
    reader.#done = read().catch(reject);
    reader.#close = () => store[Symbol.asyncDispose]();
    await synced;
    return reader;
  }

  /** Through the package: a blocking query for the whole prefix, compared by index. */
  static async ofPackage(server: ConsulProcess): Promise<Reader> {
    const reader = new Reader();
    const client = new Consul({ host: '127.0.0.1', port: server.port });
    const ctx = Object.assign(new EventEmitter(), { includeResponse: true });
    let index = '0';
    const known = new Map<string, number>();
    const poll = async (): Promise<void> => {
      // The types of the package lack what blocking queries need.
      const options = {
        key: prefix,
        recurse: true,
        index,
        wait: '2s',
        timeout: 10_000,
        ctx,
      } as never;
      const [response, items] = (await client.kv.get(options)) as unknown as [
        { headers: Record<string, string> },
        { Key: string; Value: string; ModifyIndex: number }[],
      ];
      index = response.headers['x-consul-index'] ?? '0';
      for (const item of items) {
        if (known.get(item.Key) === item.ModifyIndex) continue;
        known.set(item.Key, item.ModifyIndex);
        reader.#saw(item.Value.slice(0, 16));
      }
    };
    await poll();
    reader.#done = (async () => {
      while (!reader.#stopping.signal.aborted) await poll();
    })();
    return reader;
  }

  /** Settles when a value with this stamp was seen. */
  seen(stamp: string): Promise<void> {
    return new Promise((resolve) => this.#waiting.set(stamp, resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#done;
    await this.#close();
  }

  #saw(stamp: string): void {
    this.#waiting.get(stamp)?.();
    this.#waiting.delete(stamp);
  }
}

let stamps = 0;
function newStamp(): string {
  return `${(stamps += 1)}`.padStart(16, '#');
}

/** Puts at a rate, each to another key: from the call to the event. */
async function delays(reader: Reader, put: (key: string, value: string) => Promise<unknown>): Promise<number[]> {
  const taken: number[] = [];
  const startMs = performance.now();
  const running: Promise<unknown>[] = [];
  for (let i = 0; i < puts; i++) {
    await sleep(Math.max(0, startMs + (i * 1000) / putsPerSecond - performance.now()));
    const stamp = newStamp();
    const sinceMs = performance.now();
    running.push(reader.seen(stamp).then(() => taken.push(performance.now() - sinceMs)));
    running.push(put(keyOf((i * 7919) % keys), stamp.padEnd(valueBytes, '.')));
  }
  await Promise.all(running);
  return taken;
}

interface Cost {
  readonly ms: number;
  readonly cpuMs: number;
}

/** One change after another, each when the one before was seen and all is quiet. */
async function costOf(reader: Reader, stranger: Stranger): Promise<Cost> {
  const taken: number[] = [];
  const before = process.cpuUsage();
  for (let i = 0; i < wakeUps; i++) {
    const stamp = newStamp();
    const seen = reader.seen(stamp);
    const sinceMs = performance.now();
    await stranger.put(keyOf((i * 7919) % keys), stamp.padEnd(valueBytes, '.'));
    await seen;
    taken.push(performance.now() - sinceMs);
    await sleep(50);
  }
  const { user, system } = process.cpuUsage(before);
  return { ms: median(taken), cpuMs: (user + system) / 1000 / wakeUps };
}
