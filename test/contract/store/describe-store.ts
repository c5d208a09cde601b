import { afterAll, beforeAll, describe } from '@jest/globals';
import { closingTests } from './closing.ts';
import { type OpenStore, StoreContext, type StorePromises, allPromises } from './fixture.ts';
import { keyTests } from './keys.ts';
import { leaseTests } from './leases.ts';
import { lockTests } from './locks.ts';
import { prefixTests } from './prefixes.ts';
import { restartTests, resumeTests } from './restarts.ts';
import { transactionTests } from './transactions.ts';
import { watchTests } from './watches.ts';

interface StoreTraits {
  /** `open` gives `restart`. */
  readonly restarts?: boolean;
  /** A store goes on by itself across a restart. */
  readonly resumes?: boolean;
  /** What this store cannot promise. */
  readonly promises?: Partial<StorePromises>;
  /** For starting real servers, which may have to be built first. */
  readonly openTimeoutMs?: number;
}

/**
 * The contract of `Store` (docs/store-contract.md): every implementation passes all of it. One store is opened for the
 * whole suite; each test uses a prefix of its own, and tests of one file run one after another.
 */
export function describeStore(name: string, open: OpenStore, traits: StoreTraits = {}): void {
  const { restarts = false, resumes = false, openTimeoutMs = 60_000, promises = {} } = traits;
  describe(name, () => {
    const context = new StoreContext({ ...allPromises, ...promises });
    beforeAll(() => context.open(open), openTimeoutMs);
    afterAll(() => context.close());

    describe('keys', () => keyTests(context));
    describe('prefixes', () => prefixTests(context));
    describe('transactions', () => transactionTests(context));
    describe('watches', () => watchTests(context));
    describe('leases', () => leaseTests(context));
    describe('locks', () => lockTests(context));
    describe('signals, health and closing', () => closingTests(context));
    if (restarts) describe('restarts', () => restartTests(context));
    if (resumes) describe('resumption', () => resumeTests(context));
  });
}
