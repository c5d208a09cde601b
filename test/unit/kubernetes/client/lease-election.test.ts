import { describe, expect, test } from '@jest/globals';
import { type ApiServer, LeaseElection } from '../../../../kubernetes/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';

interface Stored {
  metadata: { resourceVersion: string };
  spec: { holderIdentity: string; leaseDurationSeconds: number; leaseTransitions: number; renewTime: string };
}

/** One Lease, with the conflicts that an API server answers with. */
class FakeLease implements ApiServer {
  readonly description = 'https://fake';
  readonly namespace = 'ns';
  stored: Stored | undefined;
  /** How the server behaves towards everybody. */
  mode: 'fine' | 'refuses' | 'silent' = 'fine';
  writes = 0;

  refresh(): void {
    // Nobody proves anything here.
  }

  async request(
    method: string,
    _path: string,
    options: { signal: AbortSignal; body?: unknown },
  ): ReturnType<ApiServer['request']> {
    options.signal.throwIfAborted();
    if (this.mode === 'silent')
      await new Promise((_resolve, reject) => {
        options.signal.addEventListener('abort', () => reject(options.signal.reason as Error), { once: true });
      });
    if (this.mode === 'refuses') return reply(403, { message: 'leases is forbidden', reason: 'Forbidden' });
    if (method === 'GET') return this.stored ? reply(200, this.stored) : reply(404, {});
    const wanted = options.body as Stored;
    if (wanted.metadata.resourceVersion !== this.stored?.metadata.resourceVersion) return reply(409, {});
    this.writes += 1;
    this.stored = { ...wanted, metadata: { ...wanted.metadata, resourceVersion: String(this.writes) } };
    return reply(method === 'POST' ? 201 : 200, this.stored);
  }
}

function reply(status: number, body: object): Awaited<ReturnType<ApiServer['request']>> {
  async function* chunks(): AsyncGenerator<Buffer> {
    yield Buffer.from(JSON.stringify(body));
  }
  return { status, body: chunks(), [Symbol.dispose]: () => undefined };
}

class Candidate {
  readonly election: LeaseElection;
  readonly stop = new AbortController();
  readonly done: Promise<string>;
  /** What happened to its terms: `lead`, `over: REASON`. */
  readonly history: string[] = [];
  finish: (error?: Error) => void = () => undefined;

  constructor(api: ApiServer, clock: VirtualClock, identity: string, fenced = false) {
    this.election = new LeaseElection({
      api,
      clock,
      identity,
      namespace: 'ns',
      name: 'apiserver',
      log: silentLogger,
      random: () => 1,
      fenced,
    });
    this.done = this.election
      .run(this.stop.signal, (signal) => this.#lead(signal))
      .then(
        () => 'ended',
        (error: Error) => error.message,
      );
  }

  #lead(signal: AbortSignal): Promise<void> {
    this.history.push('lead');
    return new Promise((resolve, reject) => {
      this.finish = (error) => (error ? reject(error) : resolve());
      signal.addEventListener('abort', () => {
        this.history.push(`over: ${(signal.reason as Error).message}`);
        reject(signal.reason as Error);
      });
    });
  }
}

function setting(): {
  clock: VirtualClock;
  api: FakeLease;
  candidate: (name: string, fenced?: boolean) => Candidate;
  pass: (ms: number) => Promise<void>;
} {
  const clock = new VirtualClock();
  const api = new FakeLease();
  const pass = async (ms: number): Promise<void> => {
    for (let at = 0; at < ms; at += 100) await clock.advance(100);
  };
  return { clock, api, candidate: (name, fenced) => new Candidate(api, clock, name, fenced), pass };
}

describe('An election by a Lease', () => {
  test('gives one of two the office for as long as it renews', async () => {
    const { api, candidate, pass } = setting();
    const [a, b] = [candidate('a'), candidate('b')];
    await pass(120_000);
    expect([...a.history, ...b.history]).toEqual(['lead']);
    expect(api.stored?.spec).toMatchObject({ holderIdentity: 'a', leaseDurationSeconds: 10, leaseTransitions: 0 });
    expect(b.election.status()).toEqual({ identity: 'b', leading: false, leader: 'a' });
    expect(a.election.status()).toEqual({ identity: 'a', leading: true, leader: 'a' });
    for (const one of [a, b]) one.stop.abort();
    await pass(100);
  });

  test('hands it over at once on an orderly end', async () => {
    const { api, candidate, pass } = setting();
    const a = candidate('a');
    await pass(1_000);
    const b = candidate('b');
    await pass(1_000);
    a.stop.abort(new Error('stopped'));
    expect(await a.done).toBe('stopped');
    expect(api.stored?.spec.holderIdentity).toBe('');
    await pass(2_100);
    expect(b.history).toEqual(['lead']);
    expect(api.stored?.spec).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
    b.stop.abort();
    await pass(100);
  });

  test('gives a dead leader 15 seconds at most, however wrong its clock was', async () => {
    const { api, candidate, pass } = setting();
    const far = {
      holderIdentity: 'dead',
      leaseDurationSeconds: 10,
      leaseTransitions: 4,
      renewTime: '2099-01-01T00:00:00.000000Z',
    };
    api.stored = { metadata: { resourceVersion: 'x' }, spec: far };
    const a = candidate('a');
    await pass(9_900);
    expect(a.history).toEqual([]);
    await pass(5_000);
    expect(a.history).toEqual(['lead']);
    expect(api.stored?.spec.leaseTransitions).toBe(5);
    a.stop.abort();
    await pass(100);
  });

  test.each([
    ['refuses', 'could not be renewed in time: Cannot get Lease ns/apiserver: leases is forbidden (403 Forbidden)'],
    ['silent', 'could not be renewed in time: No answer within 4 s'],
  ] as const)('ends a term before another may begin when the server %s', async (mode, reason) => {
    const { api, clock, candidate, pass } = setting();
    const a = candidate('a');
    await pass(10_000);
    const renewedMs = Date.parse(api.stored?.spec.renewTime ?? '');
    api.mode = mode;
    await pass(7_100);
    expect(a.history).toEqual(['lead', expect.stringContaining(reason)]);
    expect(clock.now() - renewedMs).toBeLessThan(10_000);
    expect(a.election.status().leading).toBe(false);
    api.mode = 'fine';
    await pass(20_000);
    expect(a.history.slice(2)).toEqual(['lead']);
    a.stop.abort();
    await pass(100);
  });

  test.each(['refuses', 'silent'] as const)(
    'leaves a leader whose work is fenced in office while the server %s, since nobody else can lead then',
    async (mode) => {
      const { api, candidate, pass } = setting();
      const a = candidate('a', true);
      await pass(1_000);
      const b = candidate('b', true);
      await pass(5_000);
      api.mode = mode;
      await pass(1_200_000);
      expect([a.history, b.history]).toEqual([['lead'], []]);
      expect(a.election.status()).toMatchObject({ leading: true, error: expect.any(String) });
      api.mode = 'fine';
      await pass(20_000);
      // Whoever was first has it now, and the other one knows.
      expect([a, b].filter(({ election }) => election.status().leading)).toHaveLength(1);
      const leader = api.stored?.spec.holderIdentity;
      expect([a, b].map(({ election }) => election.status())).toEqual([
        { identity: 'a', leading: leader === 'a', leader },
        { identity: 'b', leading: leader === 'b', leader },
      ]);
      for (const one of [a, b]) one.stop.abort();
      await pass(100);
    },
  );

  test.each([false, true])('ends a term as soon as another holds the Lease (fenced: %p)', async (fenced) => {
    const { api, candidate, pass } = setting();
    const a = candidate('a', fenced);
    await pass(1_000);
    if (!api.stored) throw new Error('a Lease');
    api.stored = { metadata: { resourceVersion: 'forced' }, spec: { ...api.stored.spec, holderIdentity: 'b' } };
    await pass(2_100);
    expect(a.history).toEqual(['lead', 'over: Lease ns/apiserver is held by b now']);
    expect(api.stored.spec.holderIdentity).toBe('b');
    a.stop.abort();
    await pass(100);
  });

  test.each([
    [undefined, 'ended'],
    ['broken', 'broken'],
  ])('ends as its work ends, and releases the Lease: %s', async (error, outcome) => {
    const { api, candidate, pass } = setting();
    const a = candidate('a');
    await pass(1_000);
    a.finish(error === undefined ? undefined : new Error(error));
    expect(await a.done).toBe(outcome);
    expect(api.stored?.spec.holderIdentity).toBe('');
  });

  test('waits with a reason while it may not read the Lease', async () => {
    const { api, candidate, pass } = setting();
    api.mode = 'refuses';
    const a = candidate('a');
    await pass(5_000);
    expect(a.election.status()).toEqual({
      identity: 'a',
      leading: false,
      error: 'Cannot get Lease ns/apiserver: leases is forbidden (403 Forbidden)',
    });
    api.mode = 'fine';
    await pass(2_100);
    expect(a.history).toEqual(['lead']);
    a.stop.abort();
    await pass(100);
  });

  test('refuses times that let two lead at once', () => {
    const { api, clock } = setting();
    const make = (): LeaseElection =>
      new LeaseElection({ api, clock, identity: 'a', namespace: 'ns', name: 'x', log: silentLogger, leaseSeconds: 7 });
    expect(make).toThrow('must give up (after 7000 ms) before its Lease of 7 whole seconds ends');
  });
});
