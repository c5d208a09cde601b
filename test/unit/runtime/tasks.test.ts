import { getEventListeners } from 'node:events';
import { describe, expect, test } from '@jest/globals';
import { TaskGroup, abortReason, isAbort, linkedController } from '../../../runtime/tasks/index.ts';

/** Settles when the signal aborts, as a well-behaved task does: by throwing its reason. */
const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(abortReason(signal))));

describe('a task group', () => {
  test('waits for all of its tasks, also for those that a task adds', async () => {
    await using tasks = new TaskGroup();
    const done: string[] = [];
    tasks.run(async () => {
      await Promise.resolve();
      tasks.run(async () => {
        await Promise.resolve();
        done.push('inner');
      });
      done.push('outer');
    });
    await tasks.wait();
    expect(done).toEqual(['outer', 'inner']);
  });

  test('ends the others when one fails, and throws what that one threw', async () => {
    await using tasks = new TaskGroup();
    let ended = false;
    tasks.run(async (signal) => {
      await untilAborted(signal).finally(() => (ended = true));
    });
    tasks.run(async () => {
      await Promise.resolve();
      throw new Error('Broken');
    });
    await expect(tasks.wait()).rejects.toThrow('Broken');
    expect(ended).toBe(true);
  });

  test('takes the abort of something else for the failure that it is', async () => {
    await using tasks = new TaskGroup();
    tasks.run(() => Promise.reject(new DOMException('The connection was aborted', 'AbortError')));
    await expect(tasks.wait()).rejects.toThrow('The connection was aborted');
  });

  test('ends without an error when its parent aborts', async () => {
    const parent = new AbortController();
    await using tasks = new TaskGroup(parent.signal);
    tasks.run(untilAborted);
    parent.abort(new Error('Stop'));
    await tasks.wait();
    expect(tasks.signal.reason).toEqual(new Error('Stop'));
  });

  test('is left with every task ended and no listener on its parent', async () => {
    const parent = new AbortController();
    let running = false;
    {
      await using tasks = new TaskGroup(parent.signal);
      tasks.run(async (signal) => {
        running = true;
        await untilAborted(signal).finally(() => (running = false));
      });
    }
    expect(running).toBe(false);
    expect(getEventListeners(parent.signal, 'abort')).toHaveLength(0);
  });

  test('starts nothing after its end', async () => {
    const tasks = new TaskGroup();
    await tasks[Symbol.asyncDispose]();
    let started = false;
    tasks.run(async () => {
      started = true;
      await Promise.resolve();
    });
    await tasks.wait();
    expect(started).toBe(false);
  });
});

describe('aborts', () => {
  test('a linked controller follows its parent, not the other way round', () => {
    const parent = new AbortController();
    using child = linkedController(parent.signal);
    using other = linkedController(parent.signal);
    child.abort(new Error('Only me'));
    expect([parent.signal.aborted, other.signal.aborted]).toEqual([false, false]);
    parent.abort(new Error('All'));
    expect(other.signal.reason).toEqual(new Error('All'));
    using late = linkedController(parent.signal);
    expect(late.signal.aborted).toBe(true);
  });

  test.each([
    { what: 'the reason itself', make: (reason: Error) => reason, aborted: true, expected: true },
    { what: 'an AbortError after the abort', make: abortError, aborted: true, expected: true },
    { what: 'an AbortError of something else', make: abortError, aborted: false, expected: false },
    { what: 'another error after the abort', make: () => new Error('Broken'), aborted: true, expected: false },
  ])('knows $what', ({ make, aborted, expected }) => {
    const controller = new AbortController();
    const reason = new Error('Stop');
    if (aborted) controller.abort(reason);
    expect(isAbort(make(reason), controller.signal)).toBe(expected);
  });

  test('gives every reason as an error', () => {
    expect(abortReason(AbortSignal.abort('words'))).toMatchObject({ name: 'AbortError', message: 'words' });
  });
});

function abortError(): Error {
  return new DOMException('Aborted', 'AbortError');
}
