import { describe, expect, test } from '@jest/globals';
import { AsyncQueue, CoalescingQueue } from '../../../runtime/queue/index.ts';

describe('the queue from callbacks to a loop', () => {
  test('hands values over in order, those that wait and those that come later', async () => {
    const queue = new AsyncQueue<number>();
    queue.push(1);
    queue.push(2);
    const seen: number[] = [];
    const reading = (async () => {
      for await (const value of queue) seen.push(value);
    })();
    await new Promise((resolve) => setImmediate(resolve));
    queue.push(3);
    queue.end();
    queue.push(4);
    await reading;
    expect(seen).toEqual([1, 2, 3]);
  });

  test('throws the error that it ended with, after what waited', async () => {
    const queue = new AsyncQueue<number>();
    queue.push(1);
    queue.end(new Error('Cut'));
    queue.end(new Error('Later'));
    const seen: number[] = [];
    const read = async (): Promise<void> => {
      for await (const value of queue) seen.push(value);
    };
    await expect(read()).rejects.toThrow('Cut');
    expect(seen).toEqual([1]);
  });

  test('counts what waits, also while a long backlog is read', async () => {
    const queue = new AsyncQueue<number>();
    for (let i = 0; i < 5000; i++) queue.push(i);
    queue.end();
    let expected = 0;
    const sizes = new Set<boolean>();
    for await (const value of queue) {
      expect(value).toBe(expected++);
      sizes.add(queue.size === 5000 - expected);
    }
    expect(expected).toBe(5000);
    expect([...sizes]).toEqual([true]);
  });
});

describe('the coalescing queue', () => {
  test('keeps the latest value of a key in the place of the first', () => {
    const queue = new CoalescingQueue<string, number>();
    queue.set('a', 1);
    queue.set('b', 2);
    queue.set('a', 3);
    expect(queue.size).toBe(2);
    expect(queue.take(1)).toEqual([['a', 3]]);
    expect(queue.take(10)).toEqual([['b', 2]]);
    expect(queue.take(10)).toEqual([]);
  });

  test('forgets a key that is deleted', () => {
    const queue = new CoalescingQueue<string, number>();
    queue.set('a', 1);
    expect([queue.delete('a'), queue.delete('a'), queue.size]).toEqual([true, false, 0]);
  });

  test('is ready at once when something waits, else when something comes', async () => {
    const queue = new CoalescingQueue<string, number>();
    const { signal } = new AbortController();
    let ready = false;
    const waiting = queue.ready(signal).then(() => (ready = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(ready).toBe(false);
    queue.set('a', 1);
    await waiting;
    await queue.ready(signal);
    expect(ready).toBe(true);
  });

  test('throws the reason of an abort', async () => {
    const queue = new CoalescingQueue<string, number>();
    const controller = new AbortController();
    const waiting = queue.ready(controller.signal);
    controller.abort(new Error('Stop'));
    await expect(waiting).rejects.toThrow('Stop');
    queue.set('a', 1);
    await expect(queue.ready(controller.signal)).rejects.toThrow('Stop');
  });
});
