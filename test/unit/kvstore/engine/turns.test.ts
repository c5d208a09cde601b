import { describe, expect, test } from '@jest/globals';
import type { Steps } from '../../../../kvstore/engine/steps.ts';
import { Turns } from '../../../../kvstore/engine/turns.ts';

/** Holds the event loop. */
function busy(ms: number): void {
  for (const until = performance.now() + ms; performance.now() < until;);
}

function* work(pieces: number, ms: number, done: () => void = () => undefined): Steps<string> {
  for (let i = 0; i < pieces; i++) {
    busy(ms);
    done();
    yield 1;
  }
  return 'done';
}

/** Counts turns of the event loop in which sockets are looked at. */
class Loop implements Disposable {
  turns = 0;
  #on = true;

  constructor() {
    const count = (): void => {
      this.turns += 1;
      if (this.#on) setImmediate(count);
    };
    setImmediate(count);
  }

  [Symbol.dispose](): void {
    this.#on = false;
  }
}

describe('turns of the event loop', () => {
  test('others have theirs after each few milliseconds of a long piece of work', async () => {
    using loop = new Loop();
    expect(await new Turns().take(work(20, 4))).toBe('done');
    expect(loop.turns).toBeGreaterThanOrEqual(19);
  });

  test('what is short is done at once', async () => {
    using loop = new Loop();
    await new Turns().take(work(3, 0));
    expect(loop.turns).toBeLessThan(2);
  });

  test('many short pieces at once are not one long one', async () => {
    using loop = new Loop();
    const turns = new Turns();
    await Promise.all(Array.from({ length: 40 }, () => turns.take(work(1, 1))));
    expect(loop.turns).toBeGreaterThanOrEqual(9);
  });

  test('neither are many that cannot be interrupted, one after the other', async () => {
    using loop = new Loop();
    const turns = new Turns();
    await Promise.all(Array.from({ length: 20 }, () => turns.once(async () => busy(4))));
    await Promise.all(Array.from({ length: 20 }, () => turns.later(() => busy(4))));
    expect(loop.turns).toBeGreaterThanOrEqual(38);
  });

  test('go round among owners, however much work one of them has', async () => {
    const turns = new Turns();
    let greedy = 0;
    const others = Array.from({ length: 20 }, () =>
      turns.take(
        work(10, 4, () => greedy++),
        { owner: 'greedy' },
      ),
    );
    await turns.take(work(5, 4), { owner: 'modest' });
    expect(greedy).toBeLessThan(15);
    await Promise.all(others);
    expect(greedy).toBe(200);
  });

  test('work that is given up, fails or is done is closed', async () => {
    const turns = new Turns();
    const ends: string[] = [];
    function* closed(name: string, pieces: number): Steps<void> {
      try {
        yield* work(pieces, 4);
        if (name === 'failed') throw new Error(name);
      } finally {
        ends.push(name);
      }
    }
    const between = (): never => {
      throw new Error('given up');
    };
    await expect(turns.take(closed('given up', 3), { between })).rejects.toThrow('given up');
    await expect(turns.take(closed('failed', 1))).rejects.toThrow('failed');
    await turns.take(closed('done', 1));
    expect(ends).toEqual(['given up', 'failed', 'done']);
  });
});
