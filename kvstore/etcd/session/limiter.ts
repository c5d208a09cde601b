import type { Clock } from '../../../runtime/clock/index.ts';

/** How much may be asked of the store; Cilium's names are in `tuning.ts`. */
export interface RequestLimits {
  /** Requests per second; as many may come at once after a quiet spell. */
  readonly qps: number;
  /** Requests that wait for their answers at the same time; as many as `qps` unless told. */
  readonly maxInflight?: number;
  /** Takes the place of `qps` until the owner says that it has started up. */
  readonly bootstrapQps?: number;
}

interface Waiting {
  readonly start: () => void;
}

/** Lets requests through in the order they came: so many a second, so many at a time. */
export class RequestLimiter {
  readonly #clock: Clock;
  readonly #limits: RequestLimits | undefined;
  #rate: number;
  #tokens: number;
  #filledMs: number;
  #inFlight = 0;
  readonly #queue: Waiting[] = [];
  #timer: Disposable | undefined;

  /** Without limits everything goes through at once. */
  constructor(clock: Clock, limits: RequestLimits | undefined) {
    this.#clock = clock;
    this.#limits = limits;
    this.#rate = limits?.bootstrapQps ?? limits?.qps ?? Infinity;
    this.#tokens = this.#rate;
    this.#filledMs = clock.monotonicMs();
  }

  /** Requests that have to wait at present. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** From now on `qps` holds. */
  bootstrapped(): void {
    if (!this.#limits) return;
    this.#fill();
    this.#rate = this.#limits.qps;
    this.#tokens = Math.min(this.#tokens, this.#rate);
  }

  /** Settles when a request may be sent; disposing of what it gives says that it was answered. @throws the signal's reason */
  async acquire(signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    if (!this.#limits) return { [Symbol.dispose]: () => undefined };
    await this.#turn(signal);
    let released = false;
    return {
      [Symbol.dispose]: () => {
        if (released) return;
        released = true;
        this.#inFlight -= 1;
        this.#next();
      },
    };
  }

  async #turn(signal: AbortSignal): Promise<void> {
    if (this.#queue.length === 0 && this.#take()) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting: Waiting = { start: resolve };
    const onAbort = (): void => {
      const at = this.#queue.indexOf(waiting);
      if (at >= 0) this.#queue.splice(at, 1);
      reject(signal.reason);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    this.#queue.push(waiting);
    this.#next();
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Starts whoever may start, and comes back when the next one may. */
  #next(): void {
    for (let first = this.#queue[0]; first; first = this.#queue[0]) {
      if (!this.#take()) break;
      this.#queue.shift();
      first.start();
    }
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    if (this.#queue.length === 0 || this.#full) return;
    const waitMs = ((1 - this.#tokens) / this.#rate) * 1000;
    this.#timer = this.#clock.timer(Math.max(1, Math.ceil(waitMs)), () => this.#next());
  }

  get #full(): boolean {
    const { qps = Infinity, maxInflight = qps } = this.#limits ?? {};
    return this.#inFlight >= maxInflight;
  }

  #take(): boolean {
    this.#fill();
    if (this.#full || this.#tokens < 1) return false;
    this.#tokens -= 1;
    // It counts from now on, not from when who waits notices.
    this.#inFlight += 1;
    return true;
  }

  #fill(): void {
    const now = this.#clock.monotonicMs();
    this.#tokens = Math.min(this.#rate, this.#tokens + ((now - this.#filledMs) / 1000) * this.#rate);
    this.#filledMs = now;
  }
}
