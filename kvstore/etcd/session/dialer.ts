import { reasonOf } from '../../../runtime/files/index.ts';
import { fields, type Logger } from '../../../runtime/log/index.ts';
import { exponential } from '../../../runtime/retry/index.ts';
import { linkedController } from '../../../runtime/tasks/index.ts';
import { TlsFileError, type TlsMaterial, TlsPeerError } from '../../../runtime/tls/index.ts';
import { UnavailableError } from '../../contract/index.ts';
import { type DialDependencies, type Dialed, dial } from './dial.ts';
import type { Endpoint } from './endpoint.ts';

export interface DialerOptions extends DialDependencies {
  readonly endpoints: readonly Endpoint[];
  readonly log: Logger;
  readonly timeoutMs: number;
  readonly random: () => number;
}

const backoff = exponential({ firstMs: 50, maxMs: 2000 });

/** Makes connections: endpoint after endpoint, slower while they fail. */
export class Dialer {
  readonly #options: DialerOptions;
  readonly #endpoints: readonly Endpoint[];
  #next = 0;
  #failures = 0;
  #warned = '';

  constructor(options: DialerOptions) {
    this.#options = options;
    this.#endpoints = shuffled(options.endpoints, options.random);
  }

  /** The endpoint that comes next. */
  get endpoint(): Endpoint {
    return this.#endpoints[this.#next % this.#endpoints.length] as Endpoint;
  }

  /** The store has answered: the next failure is the first again. */
  healthy(): void {
    this.#failures = 0;
    this.#warned = '';
  }

  /** Whether the files hold other certificates by now. */
  async isReplaced(material: TlsMaterial): Promise<boolean> {
    return (await this.#options.tls.read()) !== material;
  }

  /** A connection did not last: the next one goes elsewhere, and not at once. */
  failed(): void {
    this.#failures += 1;
    this.#next += 1;
  }

  /** Tries until it has a connection. @throws only the signal's reason. */
  async connect(
    signal: AbortSignal,
    onFailure: (error: UnavailableError) => void,
  ): Promise<{ readonly endpoint: Endpoint; readonly dialed: Dialed }> {
    const { clock, log, random } = this.#options;
    for (;;) {
      if (this.#failures > 0) await clock.sleep(backoff(this.#failures, random()), signal);
      const { endpoint } = this;
      try {
        return { endpoint, dialed: await this.#attempt(endpoint, signal) };
      } catch (error) {
        if (signal.aborted) throw error;
        this.failed();
        const failure = new UnavailableError(`Cannot reach store at ${endpoint.url}: ${reasonOf(error)}`, {
          cause: error,
        });
        log.debug('Connection attempt failed', { [fields.endpoint]: endpoint.url, [fields.error]: error });
        this.#warnOfTrust(failure);
        onFailure(failure);
      }
    }
  }

  async #attempt(endpoint: Endpoint, signal: AbortSignal): Promise<Dialed> {
    const { clock, timeoutMs } = this.#options;
    using attempt = linkedController(signal);
    using _timer = clock.timer(timeoutMs, () => attempt.abort(new Error(`no answer within ${timeoutMs} ms`)));
    return await dial(endpoint, this.#options, attempt.signal);
  }

  /** What time alone does not cure is told, once until the store answers again. */
  #warnOfTrust(failure: UnavailableError): void {
    if (!isOfTrust(failure)) return;
    if (this.#warned === failure.message) return;
    this.#warned = failure.message;
    this.#options.log.warn('Store is not connected to for want of trust', {
      [fields.error]: failure,
      [fields.hint]: 'the files are read again for every attempt: replace the one that is named',
    });
  }
}

/** Whether certificates are the reason. */
export function isOfTrust({ cause }: Error): boolean {
  return cause instanceof TlsPeerError || cause instanceof TlsFileError;
}

/** Several addresses of one name fail as an `AggregateError` without a message of its own. */
function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [result[i], result[j]] = [result[j] as T, result[i] as T];
  }
  return result;
}
