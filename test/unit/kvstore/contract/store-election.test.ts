import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { EngineStore, MemoryEngine, type Store, StoreElection, UnavailableError } from '../../../../kvstore/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { type Logger, silentLogger } from '../../../../runtime/log/index.ts';

const key = 'isthmus/v1/leader/test';

let clock: VirtualClock;
let engine: MemoryEngine;
let store: Store;
let open: Candidate[] = [];
/** Names of those who lead now; more than one would be the end. */
let leaders: string[] = [];
let most = 0;

beforeEach(() => {
  clock = new VirtualClock();
  engine = new MemoryEngine({ clock });
  store = new EngineStore(engine, { clock, endpoint: 'memory' });
  open = [];
  leaders = [];
  most = 0;
});
afterEach(async () => {
  for (const candidate of open) await candidate.stop();
  await store[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
});

class Candidate {
  readonly election: StoreElection;
  /** While false, its calls do not get through. */
  connected = true;
  /** Calls that are cut off are not answered, rather than refused. */
  hangs = false;
  terms = 0;
  /** What it has said, with the error. */
  readonly said: string[] = [];
  readonly #stop = new AbortController();
  readonly #log: Logger = {
    ...silentLogger,
    warn: (message, said = {}) => void this.said.push(`${message}: ${String(said['error'])}`),
  };
  readonly ended: Promise<unknown>;

  constructor(identity: string, options: { proof?: string; isGone?: (proof: string) => Promise<boolean> } = {}) {
    const through = <T>(call: () => Promise<T>, signal?: AbortSignal): Promise<T> => {
      if (this.connected) return call();
      if (!this.hangs || !signal) return Promise.reject(new UnavailableError('cut off'));
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
    };
    this.election = new StoreElection({
      store: {
        get: (...call) => through(() => store.get(...call), call[1]?.signal),
        transact: (...call) => through(() => store.transact(...call), call[1]?.signal),
      },
      key,
      identity,
      clock,
      log: this.#log,
      ...options,
    });
    this.ended = this.election.run(this.#stop.signal, (term) => this.lead(identity, term)).catch((error) => error);
    open.push(this);
  }

  async lead(identity: string, term: AbortSignal): Promise<void> {
    this.terms += 1;
    leaders.push(identity);
    most = Math.max(most, leaders.length);
    try {
      await clock.sleep(1e9, term);
    } finally {
      leaders = leaders.filter((name) => name !== identity);
    }
  }

  /** Ends it without a word to the store, as a kill would. */
  async kill(): Promise<void> {
    this.connected = false;
    await this.stop();
  }

  async stop(): Promise<void> {
    this.#stop.abort(new DOMException('stopped', 'AbortError'));
    for (let i = 0; i < 10; i++) await clock.advance(0);
    await clock.advance(this.connected ? 0 : 2_000);
    await this.ended;
  }
}

type CandidateOptions = ConstructorParameters<typeof Candidate>[1];

function stand(identity: string, options?: CandidateOptions): Candidate {
  return new Candidate(identity, options);
}

async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 50) await clock.advance(Math.min(50, ms - passed));
}

describe('An election by a key of the store', () => {
  test('has one leader, who stays', async () => {
    const [a, b] = [stand('a'), stand('b')];
    await pass(60_000);
    expect(leaders).toHaveLength(1);
    const [leader, other] = leaders[0] === 'a' ? [a, b] : [b, a];
    expect(leader?.election.status()).toEqual({ identity: leaders[0], leading: true, leader: leaders[0] });
    expect(other?.election.status()).toMatchObject({ leading: false, leader: leaders[0] });
    expect([a.terms + b.terms, most]).toEqual([1, 1]);
  });

  test('has another one at once after an orderly end', async () => {
    const a = stand('a');
    await pass(100);
    stand('b');
    await pass(1_000);
    expect(leaders).toEqual(['a']);
    await a.stop();
    await pass(1_250);
    expect(leaders).toEqual(['b']);
    expect(await a.ended).toMatchObject({ name: 'AbortError' });
  });

  test.each([0, 700, 1_900, 2_450])(
    'has another one within 12.5 s after a kill, %d ms after a renewal, and not before a term is over',
    async (afterMs) => {
      const a = stand('a');
      await pass(100);
      stand('b');
      await pass(5_000 + afterMs);
      await a.kill();
      await pass(5_000);
      expect(leaders).toEqual([]);
      // The end of `kill` took two seconds.
      await pass(12_500 - 5_000 - 2_000);
      expect(leaders).toEqual(['b']);
      expect(most).toBe(1);
    },
  );

  test('says once why it cannot stand, or does not lead any more', async () => {
    const never = stand('a');
    never.connected = false;
    await pass(30_000);
    expect(never.said).toEqual(['Cannot stand for election, will be repeated: cut off']);
    await never.stop();
    const once = stand('b');
    await pass(3_000);
    once.connected = false;
    await pass(30_000);
    expect(once.said).toEqual(['No longer leading: cut off']);
  });

  test('never has two, when the leader is cut off from the store and comes back', async () => {
    const a = stand('a');
    await pass(100);
    const b = stand('b');
    await pass(3_000);
    a.connected = false;
    await pass(8_000);
    expect(leaders).toEqual([]);
    expect(a.election.status()).toMatchObject({ leading: false, error: 'cut off' });
    await pass(5_000);
    expect(leaders).toEqual(['b']);
    a.connected = true;
    await pass(30_000);
    expect(leaders).toEqual(['b']);
    await b.stop();
    await pass(1_250);
    expect(leaders).toEqual(['a']);
    expect([most, a.terms]).toEqual([1, 2]);
  });

  test('says that the store has not answered, when a leader loses its office to that', async () => {
    const a = stand('a');
    await pass(3_000);
    a.hangs = true;
    a.connected = false;
    await pass(8_100);
    expect(leaders).toEqual([]);
    expect(a.said.join()).toContain('The store has not answered in time');
    a.hangs = false;
  });

  test('goes on through a short loss of the store', async () => {
    const a = stand('a');
    await pass(3_000);
    a.connected = false;
    await pass(4_000);
    a.connected = true;
    await pass(20_000);
    expect([leaders, a.terms]).toEqual([['a'], 1]);
    expect(a.election.status()).toEqual({ identity: 'a', leading: true, leader: 'a' });
  });

  test('is lost at once to somebody who overwrites the key', async () => {
    const a = stand('a');
    await pass(1_000);
    await store.put(key, '{"holder":"somebody"}');
    await pass(2_500);
    expect([leaders, a.election.status().leader]).toEqual([[], 'somebody']);
    await pass(12_500);
    expect(leaders).toEqual(['a']);
  });

  test('survives that the store is emptied', async () => {
    const a = stand('a');
    await pass(1_000);
    await store.deletePrefix('');
    await pass(5_000);
    expect([leaders, a.terms, most]).toEqual([['a'], 2, 1]);
  });

  test.each(['', 'no JSON', '{"holder":7}'])(
    'takes a value that nobody understands (%p) after a term',
    async (value) => {
      await store.put(key, value);
      stand('a');
      await pass(9_000);
      expect(leaders).toEqual([]);
      await pass(3_500);
      expect(leaders).toEqual(['a']);
    },
  );

  test('need not wait for a leader that has certainly ended', async () => {
    const a = stand('a', { proof: 'process 1' });
    await pass(1_000);
    await a.kill();
    const asked: string[] = [];
    stand('b', {
      isGone: async (proof) => {
        asked.push(proof);
        return proof === 'process 1';
      },
    });
    await pass(100);
    expect([leaders, asked]).toEqual([['b'], ['process 1']]);
  });

  test('ends as the work does', async () => {
    class Ending extends Candidate {
      override async lead(): Promise<void> {
        throw new Error('broken');
      }
    }
    const a = new Ending('a');
    await pass(100);
    expect(await a.ended).toMatchObject({ message: 'broken' });
    stand('b');
    await pass(100);
    expect(leaders).toEqual(['b']);
  });
});
