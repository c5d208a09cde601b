import { describe, expect, test } from '@jest/globals';
import { ChangePrinter, printChanges } from '../../../cli/store/watch.ts';
import {
  type Bytes,
  EngineStore,
  MemoryEngine,
  PermissionDeniedError,
  type Store,
  type WatchBatch,
} from '../../../kvstore/index.ts';
import { VirtualClock } from '../../../runtime/clock/index.ts';
import { until } from '../../support/until.ts';

/** `isthmus store watch` of a store in memory that can refuse. */
class Rig implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly store = new EngineStore(new MemoryEngine({ clock: this.clock }), { clock: this.clock, endpoint: 'memory' });
  readonly #stopping = new AbortController();
  #refusing = new AbortController();
  stdout = '';
  stderr = '';
  refuses = false;

  /** Ends the watch as a server does that takes the token no longer. */
  refuse(): void {
    this.refuses = true;
    this.#refusing.abort();
    this.#refusing = new AbortController();
  }

  watch(): Promise<void> {
    const context = {
      clock: this.clock,
      signal: this.#stopping.signal,
      stdout: (text: string) => void (this.stdout += text),
      stderr: (text: string) => void (this.stderr += text),
    };
    const printer = new ChangePrinter(context, (event) => `${event.type}\n`, false);
    const store = {
      listAndWatch: (...[prefix, { signal }]: Parameters<Store['listAndWatch']>) => this.#changes(prefix, signal),
      health: () => this.store.health(),
    };
    return printChanges(store, 'k', printer, context);
  }

  async *#changes(prefix: Bytes, signal: AbortSignal): AsyncGenerator<WatchBatch, void, void> {
    const refused = this.#refusing.signal;
    if (!this.refuses) yield* this.store.listAndWatch(prefix, { signal: AbortSignal.any([signal, refused]) });
    if (!signal.aborted) throw new PermissionDeniedError('Cannot watch "k": the token is not known');
  }

  stop(): void {
    this.#stopping.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    await this.store[Symbol.asyncDispose]();
  }
}

describe('isthmus store watch', () => {
  test('ends at once when it is refused from the beginning', async () => {
    await using rig = new Rig();
    rig.refuses = true;
    await expect(rig.watch()).rejects.toThrow(PermissionDeniedError);
  });

  test('outlives a token that is refused for a while, says so, and shows what changed meanwhile', async () => {
    await using rig = new Rig();
    await rig.store.put('k/before', '1');
    const watching = rig.watch();
    await until(() => rig.stderr.includes('Watching from revision 2'));
    rig.refuse();
    await until(
      () => rig.stderr.split('asking again').length > 4,
      () => rig.clock.advance(1000),
    );
    await rig.store.put('k/meanwhile', '1');
    rig.refuses = false;
    await until(
      () => rig.stderr.includes('Watching from revision 3'),
      () => rig.clock.advance(1000),
    );
    expect(rig.stdout).toBe('put\n');
    expect(rig.stderr).toContain('isthmus: Cannot watch "k": the token is not known; asking again\n');
    expect(rig.stderr).toContain('isthmus: Listing again (it was refused); deletions may have been missed\n');
    await rig.store.put('k/after', '1');
    await until(() => rig.stdout === 'put\nput\n');
    rig.stop();
    await watching;
  });
});
