import { expect, test } from '@jest/globals';
import { Heartbeat } from '../../../../clustermesh/remote/heartbeat.ts';
import { hintFor, withLiveStore } from '../../../../clustermesh/remote/index.ts';
import { EngineStore, MemoryEngine, type StoreHealth } from '../../../../kvstore/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';

test.each([
  {
    health: { error: 'Certificate of west:2379 is not trusted', distrusted: true as const },
    hint: 'isthmus troubleshoot shows both certificates',
  },
  {
    health: { error: 'nobody listens there' },
    hint: 'Check endpoints and network; what was learned before stays in use',
  },
])('a store that never answers is given up with its reason: $health.error', async ({ health, hint }) => {
  const clock = new VirtualClock();
  await using engine = new MemoryEngine({ clock });
  await using inner = new EngineStore(engine, { clock, endpoint: 'memory' });
  const store = {
    health: (): StoreHealth => ({ ...inner.health(), ...health, connected: false }),
    // Nothing comes before the signal says that it is over.
    async *listAndWatch(_prefix: unknown, { signal }: { readonly signal: AbortSignal }): AsyncGenerator<never> {
      yield* await new Promise<never[]>((resolve) => {
        signal.addEventListener('abort', () => resolve([]), { once: true });
      });
    },
  };
  const life = { heartbeat: new Heartbeat(clock), clock, onHeard: () => undefined };
  const living = withLiveStore(store, life, () => Promise.resolve(), new AbortController().signal).then(
    () => undefined,
    (error: unknown) => error,
  );
  await clock.advance(900_000);
  const error = await living;
  expect(error).toMatchObject({ message: `The remote store did not answer within 900 seconds: ${health.error}` });
  expect(hintFor(error)).toBe(hint);
});
