import { describe, expect, test } from '@jest/globals';
import {
  type HeldNumber,
  type RememberedNumber,
  decodeHeldNumbers,
  decodeWorkload,
  encodeHeldNumbers,
  identityQuestionKey,
  keyOfHeldNumbers,
} from '../../../../clustermesh/index.ts';
import { IdentityOpening } from '../../../../clustermesh/apiserver/identity-opening.ts';
import { Wake } from '../../../../clustermesh/apiserver/wake.ts';
import { type RestartReason, type Store, type WatchBatch, textDigest } from '../../../../kvstore/index.ts';
import { passing } from '../../../contract/store/suite/defective-watches.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { identityRange } from '../../../../values/identity/index.ts';
import { Harness, namespace, node, pod, service } from './harness.ts';

const identities = 'cilium/state/identities/v1/id/';
const workloads = 'isthmus/v1/workloads/';
const patient = { identityOpeningMs: 30_000 };

/** A cluster of two nodes with a pod of each kind. */
async function cluster(): Promise<Harness> {
  const it = new Harness();
  it.add(...namespace('shop'), ...node('n1'), ...node('n2'), ...service('web'));
  it.add(...pod('a', { app: 'a' }), ...pod('b', { app: 'b', on: 'n2', ip: '10.1.0.6' }));
  it.source.markSynced();
  return it;
}

/** What an agent says, to whoever has asked last unless told. */
async function says(
  it: Harness,
  name: string,
  numbers: readonly HeldNumber[] = [],
  answers?: string,
  remembered: readonly RememberedNumber[] = [],
): Promise<void> {
  const question = answers ?? (await it.stored(identityQuestionKey))[''] ?? '';
  const record = { node: name, numbers, answers: question, remembered };
  await it.store.put(keyOfHeldNumbers(record), encodeHeldNumbers(record));
}

/** Text by pod, with the numbers that an empty store gives them. */
async function naturalNumbers(): Promise<Record<'a' | 'b', { readonly id: number; readonly text: string }>> {
  await using it = await cluster();
  await it.start();
  const found = Object.entries(await it.stored(identities)).map(([id, text]) => ({ id: Number(id), text }));
  const of = (app: string): { readonly id: number; readonly text: string } => {
    const one = found.find(({ text }) => text.includes(`k8s:app=${app};`));
    if (!one) throw new Error(`There is no identity of ${app}`);
    return one;
  };
  return { a: of('a'), b: of('b') };
}

const range = identityRange(1);
const every = function* (min: number, max: number): Generator<number> {
  for (let id = min; id <= max; id++) yield id;
};

const identityOf = async (it: Harness, name: string, on: string): Promise<number | undefined> => {
  const value = (await it.stored(workloads))[`${on}/shop/${name}`];
  return value === undefined ? undefined : decodeWorkload(`${on}/shop/${name}`, value).identity;
};

/** A store whose watches can be told that its content was replaced. */
class ReplaceableLink {
  readonly store: Store;
  #cut = new AbortController();

  constructor(store: Store) {
    this.store = passing(store, { listAndWatch: (prefix, options) => this.#follow(store, prefix, options) });
  }

  replace(): void {
    this.#cut.abort();
    this.#cut = new AbortController();
  }

  async *#follow(store: Store, ...[prefix, options]: Parameters<Store['listAndWatch']>): AsyncGenerator<WatchBatch> {
    for (let reason: RestartReason = 'start'; !options.signal.aborted; reason = 'store-replaced') {
      const signal = AbortSignal.any([options.signal, this.#cut.signal]);
      for await (const batch of store.listAndWatch(prefix, { ...options, signal }))
        yield batch.type === 'restart' ? { ...batch, reason } : batch;
    }
  }
}

describe('New identities', () => {
  test('wait for what the agents of all ready nodes say they use; everything else does not', async () => {
    await using it = await cluster();
    await it.start(patient);
    await it.clock.advance(5_000);
    expect(await it.stored(identities)).toEqual({});
    expect(await it.keys('cilium/state/services/v1/east/')).toEqual(['shop/web']);
    expect(it.apiserver.status().waitingFor).toContain('identities that node n1 uses');
    await says(it, 'n1');
    await it.clock.advance(5_000);
    expect(await it.stored(identities)).toEqual({});
    await says(it, 'n2');
    await it.clock.advance(1_000);
    expect(await it.keys(identities)).toHaveLength(2);
    expect(await it.keys(workloads)).toEqual(['n1/shop/a', 'n2/shop/b']);
  });

  test('do not wait for ever; what a store knows waits too, and what is published stays meanwhile', async () => {
    await using it = await cluster();
    await it.start(patient);
    await it.clock.advance(29_000);
    expect(await it.stored(identities)).toEqual({});
    await it.clock.advance(2_000);
    const given = await it.stored(identities);
    expect(Object.keys(given)).toHaveLength(2);
    await it.stop();
    it.add(...pod('a2', { app: 'a', ip: '10.1.0.7' }));
    await it.start(patient);
    await it.clock.advance(29_000);
    expect(await it.keys(workloads)).toEqual(['n1/shop/a', 'n2/shop/b']);
    await it.clock.advance(2_000);
    expect(await it.keys(workloads)).toEqual(['n1/shop/a', 'n1/shop/a2', 'n2/shop/b']);
    expect(await it.stored(identities)).toEqual(given);
  });

  test('wait for an answer to the question of this very life: an older store tells what was said long ago', async () => {
    const natural = await naturalNumbers();
    await using it = await cluster();
    await it.start(patient);
    const earlier = (await it.stored(identityQuestionKey))[''] ?? '';
    await it.stop();
    // Both had spoken when the copy was made; since then `a` has come to the number that `b` would get.
    await says(it, 'n1', [], earlier);
    await says(it, 'n2', [], earlier);
    await it.start(patient);
    await it.clock.advance(5_000);
    expect(await it.stored(identities)).toEqual({});
    expect(it.apiserver.status().waitingFor).toEqual(
      expect.arrayContaining(['identities that node n1 uses', 'identities that node n2 uses']),
    );
    await says(it, 'n1', [{ id: natural.b.id, text: natural.a.text, hidden: false }]);
    await says(it, 'n2');
    await it.clock.advance(1_000);
    expect((await it.stored(identities))[natural.b.id]).toBe(natural.a.text);
    expect(await identityOf(it, 'a', 'n1')).toBe(natural.b.id);
    expect(await identityOf(it, 'b', 'n2')).not.toBe(natural.b.id);
  });

  test('are others where the store knows a number by what it meant long ago, and a node by what it means now', async () => {
    const natural = await naturalNumbers();
    await using it = await cluster();
    // In the copy this is the number of `b`; since then it was collected, and `a` has come to it.
    await it.store.put(`${identities}${natural.a.id}`, natural.b.text);
    await it.start(patient);
    await says(it, 'n1', [{ id: natural.a.id, text: natural.a.text, hidden: false }]);
    await says(it, 'n2');
    await it.clock.advance(1_000);
    const [a, b] = [await identityOf(it, 'a', 'n1'), await identityOf(it, 'b', 'n2')];
    expect([a, b].includes(natural.a.id)).toBe(false);
    const reason = `means ${natural.b.text} in the store, and ${natural.a.text} to n1`;
    expect(it.apiserver.status().errors).toEqual([{ object: `identity ${natural.a.id}`, reason }]);
    // The node takes the number that its workload has now, and nothing is contested any more.
    await says(it, 'n1', [{ id: a ?? 0, text: natural.a.text, hidden: false }]);
    await it.clock.advance(1_000);
    expect(it.apiserver.status().errors).toEqual([]);
  });

  test('wait anew when the store is put back while they are given', async () => {
    const natural = await naturalNumbers();
    await using it = await cluster();
    const link = new ReplaceableLink(it.store);
    await it.start({ ...patient, store: link.store });
    const contested = natural.a.id + 9;
    const gone = { id: contested, text: natural.a.text.replace('app=a', 'app=gone'), hidden: false };
    await says(it, 'n1', [gone]);
    await says(it, 'n2');
    await it.clock.advance(1_000);
    expect(await it.keys(workloads)).toEqual(['n1/shop/a', 'n2/shop/b']);
    // In the copy, that number means what a new pod is about to need, and nobody has said otherwise yet.
    const earlier = (await it.stored(identityQuestionKey))[''] ?? '';
    await says(it, 'n1', [], earlier);
    await it.clock.advance(1_000);
    link.replace();
    await it.store.put(`${identities}${contested}`, natural.a.text.replace('app=a', 'app=c'));
    it.add(...pod('c', { app: 'c', ip: '10.1.0.9' }));
    await it.clock.advance(5_000);
    expect(await it.keys(workloads)).toEqual(['n1/shop/a', 'n2/shop/b']);
    expect(it.apiserver.status().waitingFor).toContain('identities that node n1 uses');
    await says(it, 'n1', [gone]);
    await says(it, 'n2');
    await it.clock.advance(1_000);
    expect(await identityOf(it, 'c', 'n1')).toBeGreaterThan(0);
    expect(await identityOf(it, 'c', 'n1')).not.toBe(contested);
    expect(it.apiserver.status().errors).toEqual([expect.objectContaining({ object: `identity ${contested}` })]);
  });

  test('wait for nodes that are not ready, too, where the store has lost what those said', async () => {
    await using it = await cluster();
    it.add(...node('n2', false));
    await it.start(patient);
    await says(it, 'n1');
    await it.clock.advance(5_000);
    expect(await it.stored(identities)).toEqual({});
    expect(it.apiserver.status().waitingFor).toContain('identities that node n2 uses');
    await says(it, 'n2');
    await it.clock.advance(1_000);
    expect(await it.keys(identities)).toHaveLength(2);
    // The next life finds the question of this one: the store is as it was.
    await it.stop();
    it.add(...pod('a2', { app: 'a2', ip: '10.1.0.7' }));
    await it.start(patient);
    await says(it, 'n1');
    await it.clock.advance(1_000);
    expect(await it.keys(identities)).toHaveLength(3);
  });

  test('are not numbers that an agent remembers with other labels, though nobody holds them', async () => {
    const natural = await naturalNumbers();
    await using it = await cluster();
    await it.start(patient);
    const gone = natural.b.text.replace('app=b', 'app=gone');
    // Both numbers were given to others in the store that was lost; one of them to the same labels.
    const remembered: RememberedNumber[] = [
      [natural.a.id, textDigest(natural.a.text)],
      [natural.b.id, textDigest(gone)],
    ];
    await says(it, 'n1', [], undefined, remembered);
    await says(it, 'n2');
    await it.clock.advance(1_000);
    expect(await identityOf(it, 'a', 'n1')).toBe(natural.a.id);
    const moved = await identityOf(it, 'b', 'n2');
    expect(moved).toBeGreaterThan(0);
    expect(moved).not.toBe(natural.b.id);
    expect((await it.stored(identities))[natural.b.id]).toBeUndefined();
  });

  test('are kept from nobody by an agent that goes on remembering other things', async () => {
    const natural = await naturalNumbers();
    await using it = await cluster();
    await it.start(patient);
    await says(it, 'n2');
    await says(it, 'n1', [], undefined, [[natural.a.id + 1, 1]]);
    await it.clock.advance(1_000);
    for (let digest = 0; digest < 3; digest++)
      await says(
        it,
        'n1',
        [],
        undefined,
        [...every(range.min, range.max)].map((id) => [id, digest]),
      );
    it.add(...pod('d', { app: 'd', ip: '10.1.0.9' }));
    await it.clock.advance(1_000);
    expect(await identityOf(it, 'd', 'n1')).toBeGreaterThan(0);
  });

  test('take no notice of what was remembered in answer to an earlier question', async () => {
    const natural = await naturalNumbers();
    await using it = await cluster();
    await says(it, 'n1', [], 'an earlier one', [[natural.a.id, 1]]);
    await it.start();
    expect(await identityOf(it, 'a', 'n1')).toBe(natural.a.id);
  });

  test('wait from when the question is in the store, however long that takes', async () => {
    const clock = new VirtualClock();
    let asked = false;
    const opening = new IdentityOpening({
      nodes: () => ['n1'],
      asked: () => asked,
      spoken: () => new Set(),
      wake: new Wake(),
      clock,
      log: silentLogger,
      longestMs: 30_000,
    });
    const waiting = opening.opened(new AbortController().signal);
    await clock.advance(120_000);
    expect([opening.isOpen, opening.waitingFor()]).toEqual([false, ['n1']]);
    asked = true;
    await clock.advance(29_000);
    expect(opening.isOpen).toBe(false);
    await clock.advance(2_000);
    await waiting;
    expect([opening.isOpen, opening.waitingFor()]).toEqual([true, []]);
  });

  test('leave a number to whom it meant something before the store was lost', async () => {
    const natural = await naturalNumbers();
    await using it = await cluster();
    await it.start(patient);
    // Before, `a` had come to the number that `b` would get from an empty store.
    await says(it, 'n1', [{ id: natural.b.id, text: natural.a.text, hidden: false }]);
    await says(it, 'n2');
    await it.clock.advance(1_000);
    expect((await it.stored(identities))[natural.b.id]).toBe(natural.a.text);
    expect(await identityOf(it, 'a', 'n1')).toBe(natural.b.id);
    const moved = await identityOf(it, 'b', 'n2');
    expect(moved).toBeGreaterThan(0);
    expect(moved).not.toBe(natural.b.id);
  });

  test('that were hidden come back hidden', async () => {
    const { a, b } = await naturalNumbers();
    await using it = await cluster();
    await it.start(patient);
    await says(it, 'n1', [{ id: a.id + 7, text: a.text.replace('app=a', 'app=old'), hidden: true }]);
    await says(it, 'n2');
    await it.clock.advance(1_000);
    expect(await it.stored('isthmus/v1/identities/')).toEqual({ [a.id + 7]: a.text.replace('app=a', 'app=old') });
    expect(Object.keys(await it.stored(identities)).map(Number)).toEqual([a.id, b.id].toSorted((x, y) => x - y));
  });

  test('with two meanings are named, and the store’s stays', async () => {
    const { a, b } = await naturalNumbers();
    await using it = await cluster();
    await it.start();
    await says(it, 'n2', [{ id: a.id, text: b.text, hidden: false }]);
    await it.clock.advance(1_000);
    expect((await it.stored(identities))[a.id]).toBe(a.text);
    const reason = `means ${a.text} in the store, and ${b.text} to n2`;
    expect(it.apiserver.status().errors).toEqual([{ object: `identity ${a.id}`, reason }]);
    await says(it, 'n2', [{ id: b.id, text: b.text, hidden: false }]);
    await it.clock.advance(1_000);
    expect(it.apiserver.status().errors).toEqual([]);
  });

  test('are not collected while an agent uses them', async () => {
    const { a } = await naturalNumbers();
    await using it = await cluster();
    await it.start({ identityGraceMs: 60_000 });
    for (const name of ['n1', 'n2']) await it.store.put(`isthmus/v1/own-set/${name}`, 'now');
    await says(it, 'n1', [{ ...a, hidden: false }]);
    await it.clock.advance(1_000);
    it.source.delete('Pod', 'shop', 'a');
    for (let i = 0; i < 20; i++) await it.clock.advance(15_000);
    expect(await it.keys(identities)).toContain(String(a.id));
    await says(it, 'n1');
    for (let i = 0; i < 20; i++) await it.clock.advance(15_000);
    expect(await it.keys(identities)).not.toContain(String(a.id));
  });

  test.each([
    ['of another cluster’s range', (a: HeldNumber) => ({ ...a, id: a.id + (1 << 16) })],
    [
      'with another cluster’s label',
      (a: HeldNumber) => ({ ...a, text: a.text.replace('cluster=east', 'cluster=west') }),
    ],
    ['in another order', (a: HeldNumber) => ({ ...a, text: `${a.text}k8s:a=b;` })],
  ])('%s are refused', async (_, change) => {
    const { a } = await naturalNumbers();
    await using it = await cluster();
    await it.start();
    const before = await it.stored(identities);
    await says(it, 'n1', [change({ id: a.id + 5, text: a.text, hidden: false })]);
    await it.clock.advance(1_000);
    expect(await it.stored(identities)).toEqual(before);
  });
});

test('what a node holds is written as Go would, and read back', () => {
  const numbers = [
    { id: 65_700, text: 'k8s:a=b;', hidden: true },
    { id: 65_601, text: 'k8s:app=x;k8s:b=;', hidden: false },
  ];
  const text = encodeHeldNumbers({ node: 'n1', numbers });
  expect(text).toBe('{"identities":{"65601":"k8s:app=x;k8s:b=;"},"hidden":{"65700":"k8s:a=b;"}}');
  const answering = encodeHeldNumbers({ node: 'n1', numbers: [], answers: 'who' });
  expect([answering, decodeHeldNumbers('n1', answering).answers]).toEqual(['{"answers":"who"}', 'who']);
  expect(decodeHeldNumbers('n1', text).numbers.toSorted((a, b) => b.id - a.id)).toEqual(numbers);
  expect(encodeHeldNumbers({ node: 'n1', numbers: [] })).toBe('{}');
  const remembered: RememberedNumber[] = [
    [65_601, 0xffff_ffff],
    [65_700, 1],
  ];
  const remembering = encodeHeldNumbers({ node: 'n1', numbers: [], remembered: remembered.toReversed() });
  expect(remembering).toBe('{"remembered":"AAEAQf////8AAQCkAAAAAQ=="}');
  expect(decodeHeldNumbers('n1', remembering).remembered).toEqual(remembered);
  for (const nonsense of ['AAEA', 'AAEAQf////8=AAEAQf////8='])
    expect(() => decodeHeldNumbers('n1', `{"remembered":"${nonsense}"}`)).toThrow('8 bytes a number');
  const twice = encodeHeldNumbers({
    node: 'n1',
    numbers: [],
    remembered: [
      [65_601, 1],
      [65_601, 2],
    ],
  });
  expect(() => decodeHeldNumbers('n1', twice)).toThrow('each number once');
  expect(() => decodeHeldNumbers('n1', '{"identities":{"0":"k8s:a=b;"}}')).toThrow('a decimal number');
});
