import { randomUUID } from 'node:crypto';
import type { Clock } from '../../runtime/clock/index.ts';
import type { Election } from '../../runtime/election/index.ts';
import { exponential, retry } from '../../runtime/retry/index.ts';
import { FencedError, KvStoreError, type Store } from '../contract/index.ts';
import type { Fence } from './fenced-store.ts';

export interface ClaimTermOptions {
  readonly store: Pick<Store, 'get' | 'transact'>;
  /** Written once a term, by whoever begins one. */
  readonly key: string;
  readonly election: Pick<Election, 'confirm' | 'status'>;
  readonly clock: Clock;
}

/**
 * Begins a term that was won: puts up the fence of all that is written in it, and takes that of the last one down. Whoever stood still
 * between winning and writing cannot: the key is read before the office is asked about once more, and written only if nobody has
 * written it since. So of two that believe to lead, the one that really does has the last word, whatever the office is kept in.
 * @throws {FencedError} where the office is somebody else's by now
 */
export async function claimTerm(options: ClaimTermOptions, signal: AbortSignal): Promise<Fence> {
  const { clock } = options;
  return await retry((attempt) => claim(options, attempt), {
    clock,
    signal,
    schedule: exponential({ firstMs: 50, maxMs: 1_000 }),
    // The office may be kept elsewhere, and be out of reach for a while.
    retryable: (error) => !(error instanceof KvStoreError && error.retry === 'never'),
  });
}

async function claim({ store, key, election }: ClaimTermOptions, signal: AbortSignal): Promise<Fence> {
  for (;;) {
    const seen = (await store.get(key, { signal }))?.modRevision ?? 0;
    if (!(await election.confirm(signal))) throw new FencedError('The office is somebody else’s already');
    // Another value each time: Consul takes a put of the same one for none.
    const value = JSON.stringify({ holder: election.status().identity, term: randomUUID() });
    const { succeeded, revision } = await store.transact(
      { when: [{ key, target: 'mod', result: 'equal', value: seen }], then: [{ type: 'put', key, value }] },
      { signal },
    );
    if (succeeded) return { key, revision };
  }
}
