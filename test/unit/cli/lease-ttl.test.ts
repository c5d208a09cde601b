import { expect, test } from '@jest/globals';
import { leaseTtlSeconds } from '../../../cli/lease-ttl.ts';
import { replicaElection } from '../../../cli/replica-election.ts';
import { EngineStore, MemoryEngine } from '../../../kvstore/index.ts';
import { systemClock as clock } from '../../../runtime/clock/index.ts';
import { silentLogger as log } from '../../../runtime/log/index.ts';
import { UsageError } from '../../../runtime/options/index.ts';

test.each([
  { ms: 25_000, seconds: 25 },
  { ms: 30_500, seconds: 31 },
  { ms: 86_400_000, seconds: 86_400 },
])('a lease of $ms ms lives for $seconds s', ({ ms, seconds }) => {
  expect(leaseTtlSeconds({ kvstoreLeaseTtlMs: ms })).toBe(seconds);
});

test.each([0, 1_000, 24_999, 86_400_001])('a lease of %d ms is a mistake in the usage', (ms) => {
  expect(() => leaseTtlSeconds({ kvstoreLeaseTtlMs: ms })).toThrow(UsageError);
});

test.each([0, 999])('so is an election whose terms last %d ms', async (leaderElectLeaseDurationMs) => {
  await using engine = new MemoryEngine({ clock });
  await using store = new EngineStore(engine, { clock, endpoint: 'memory' });
  const choice = { leaderElectBy: 'store' as const, leaderElectLeaseDurationMs };
  await expect(replicaElection(choice, store, undefined, { clock, log })).rejects.toThrow(UsageError);
});
