import type { Clock } from '../clock/index.ts';
import { isAbort } from '../tasks/index.ts';
import type { Schedule } from './schedule.ts';

export interface RetryOptions {
  readonly clock: Clock;
  readonly schedule: Schedule;
  readonly signal: AbortSignal;
  /** An attempt that lasted this long before it failed counts as healthy: the delays begin anew. Default 60 s. */
  readonly healthyAfterMs?: number;
  /** Says whether another attempt makes sense; without it every error but an abort is retried. */
  readonly retryable?: (error: unknown) => boolean;
  readonly onFailure?: (error: unknown, failures: number, delayMs: number) => void;
  readonly random?: () => number;
}

/** The one retry loop: runs `attempt` until it returns, the signal aborts, or an error is not worth another attempt. */
export async function retry<T>(attempt: (signal: AbortSignal) => Promise<T>, options: RetryOptions): Promise<T> {
  const { clock, schedule, signal, healthyAfterMs = 60_000, random = Math.random } = options;
  for (let failures = 0; ;) {
    const started = clock.monotonicMs();
    try {
      return await attempt(signal);
    } catch (error) {
      if (isAbort(error, signal) || signal.aborted || options.retryable?.(error) === false) throw error;
      failures = clock.monotonicMs() - started >= healthyAfterMs ? 1 : failures + 1;
      const delayMs = schedule(failures, random());
      options.onFailure?.(error, failures, delayMs);
      await clock.sleep(delayMs, signal);
    }
  }
}
