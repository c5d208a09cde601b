import { linkedController } from './linked-controller.ts';
import { isAbort } from './abort.ts';

/**
 * Tasks with one owner: the first failure ends the others, and disposing of the group ends and awaits all of them.
 *
 * @example
 * await using tasks = new TaskGroup(signal);
 * tasks.run((running) => follow(running));
 * await tasks.wait();
 */
export class TaskGroup implements AsyncDisposable {
  readonly #controller: AbortController & Disposable;
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(parent?: AbortSignal) {
    this.#controller = linkedController(parent);
  }

  /** Aborts when the parent does, when a task fails, or when the group is disposed of. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Starts a task. After the group has ended the task is not started. */
  run(task: (signal: AbortSignal) => Promise<unknown>): void {
    if (this.signal.aborted) return;
    const running = (async () => {
      try {
        await task(this.signal);
      } catch (error) {
        if (isAbort(error, this.signal)) return;
        this.#failure ??= { error };
        this.#controller.abort(new DOMException('A task of the group failed', 'AbortError'));
      }
    })().finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Settles when all tasks have ended. @throws what the first failing task threw. */
  async wait(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
    if (this.#failure) throw this.#failure.error;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#controller.abort(new DOMException('The task group was closed', 'AbortError'));
    while (this.#running.size > 0) await Promise.all(this.#running);
    this.#controller[Symbol.dispose]();
  }
}
