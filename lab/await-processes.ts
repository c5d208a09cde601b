import type { Clock } from '../runtime/clock/index.ts';
import { callUnixApi } from '../runtime/serve/index.ts';

const pollMs = 40;
const answerWithinMs = 30_000;
const readyWithinMs = 60_000;

export interface AwaitOptions {
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  /** What is known of processes that failed, for the error. */
  readonly failures: () => string;
}

/** Repeats a call while the process that should answer is still starting. @throws {Error} naming `whom`. */
export async function untilAnswered<T>(call: () => Promise<T>, whom: string, options: AwaitOptions): Promise<T> {
  const { clock, signal, failures } = options;
  for (const deadline = clock.monotonicMs() + answerWithinMs; ;) {
    signal?.throwIfAborted();
    try {
      return await call();
    } catch (error) {
      const starting = error instanceof Error && error.name === 'ApiUnreachableError';
      if (!starting || clock.monotonicMs() > deadline) {
        const message = error instanceof Error ? error.message : String(error);
        throw new Error(`No answer from ${whom}: ${message}\n${failures()}`, { cause: error });
      }
    }
    await clock.sleep(pollMs, signal);
  }
}

/** Settles when the process behind a control socket says that it is ready. @throws {Error} with what it waits for. */
export async function untilReady(socket: string, options: AwaitOptions): Promise<void> {
  const { clock, signal, failures } = options;
  let waitingFor = 'its first answer';
  for (const deadline = clock.monotonicMs() + readyWithinMs; ;) {
    const status = await readiness(socket, signal);
    if (status?.ready === true) return;
    if (status?.waitingFor) waitingFor = status.waitingFor.join(', ');
    if (clock.monotonicMs() > deadline)
      throw new Error(`${socket} did not become ready; it waits for ${waitingFor}\n${failures()}`);
    await clock.sleep(pollMs, signal);
  }
}

async function readiness(
  socket: string,
  signal: AbortSignal | undefined,
): Promise<{ readonly ready?: boolean; readonly waitingFor?: readonly string[] } | undefined> {
  const call = { route: '/v1/status', silenceMs: readyWithinMs, ...(signal ? { signal } : {}) };
  return (await callUnixApi(socket, call).catch(() => undefined)) as Awaited<ReturnType<typeof readiness>>;
}
