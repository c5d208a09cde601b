import type { Clock } from '../../../runtime/clock/index.ts';
import { fields, type Logger } from '../../../runtime/log/index.ts';
import type { Gauge, Metrics } from '../../../runtime/metrics/index.ts';
import { atMost } from '../../../runtime/tasks/index.ts';
import { exchangeWith, exchangesAtATime } from '../enrolment/index.ts';
import type { PeerFolder } from '../folder/index.ts';
import { renewOwn } from '../renewal/index.ts';
import { expiries } from './expiry.ts';

export interface KeeperOptions {
  readonly folder: PeerFolder;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** How often it looks; every 30 s unless told. */
  readonly lookEveryMs?: number;
}

/** A peer that could not be asked is asked again after this long, doubled up to an hour. */
const firstPauseMs = 30_000;
const longestPauseMs = 3_600_000;
/** An alarm besides the metric: a renewal that was due long ago has not worked. */
const alarmShare = 1 / 6;

interface Trouble {
  readonly failures: number;
  readonly againAtMs: number;
  readonly reason: string;
}

/** Keeps everything that expires renewed, for as long as a process lives. What it does follows from the files alone. */
export class CertificateKeeper {
  readonly #options: KeeperOptions;
  readonly #gauge: Gauge<'certificate'>;
  readonly #troubles = new Map<string, Trouble>();
  #measured = new Set<string>();
  #alarmed = new Set<string>();
  #complaint = '';

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#gauge = options.metrics.gauge({
      name: 'certificate_not_after_timestamp_seconds',
      help: 'When a certificate of this cluster expires, what it shows to a peer (peer/NAME), and what one that runs Cilium was given (given/NAME)',
      labels: ['certificate'],
    });
  }

  /** Why peers could not be asked about certificates, by name. */
  get troubles(): ReadonlyMap<string, { readonly failures: number; readonly reason: string }> {
    return this.#troubles;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, lookEveryMs = 30_000 } = this.#options;
    while (!signal.aborted) {
      try {
        await this.look(signal);
        this.#complaint = '';
      } catch (error) {
        signal.throwIfAborted();
        const text = error instanceof Error ? error.message : String(error);
        if (text !== this.#complaint) log.error('Certificates cannot be renewed', { [fields.error]: error });
        this.#complaint = text;
      }
      await clock.sleep(lookEveryMs, signal);
    }
  }

  /** Does what is to be done now. */
  async look(signal: AbortSignal): Promise<void> {
    const { folder, clock, log } = this.#options;
    const wanted = new Set((await renewOwn(folder, { clock, log })).map(({ peer }) => peer));
    for (const name of this.#troubles.keys()) if (!wanted.has(name)) this.#troubles.delete(name);
    const due = [...wanted].filter((name) => (this.#troubles.get(name)?.againAtMs ?? 0) <= clock.monotonicMs());
    await atMost(exchangesAtATime, due, (name) => this.#exchange(name, signal));
    await this.#measure();
  }

  async #exchange(name: string, signal: AbortSignal): Promise<void> {
    const { folder, clock, log } = this.#options;
    try {
      await exchangeWith(folder, name, { clock, signal });
      this.#troubles.delete(name);
    } catch (error) {
      signal.throwIfAborted();
      const { failures = 0, reason: before } = this.#troubles.get(name) ?? {};
      const pauseMs = Math.min(firstPauseMs * 2 ** failures, longestPauseMs);
      const reason = error instanceof Error ? error.message : String(error);
      this.#troubles.set(name, { failures: failures + 1, againAtMs: clock.monotonicMs() + pauseMs, reason });
      if (reason !== before)
        log.warn('A peer cannot be asked about certificates', { [fields.cluster]: name, [fields.error]: error });
    }
  }

  async #measure(): Promise<void> {
    const { folder, clock, log } = this.#options;
    const found = await expiries(folder);
    const names = new Set(found.map(({ certificate }) => certificate));
    for (const gone of this.#measured) if (!names.has(gone)) this.#gauge.remove({ certificate: gone });
    this.#measured = names;
    const alarmed = new Set<string>();
    for (const { certificate, notBeforeMs, notAfterMs } of found) {
      this.#gauge.set(notAfterMs / 1000, { certificate });
      if (clock.now() < notAfterMs - (notAfterMs - notBeforeMs) * alarmShare) continue;
      alarmed.add(certificate);
      if (!this.#alarmed.has(certificate))
        log.error('A certificate is about to expire and was not renewed', {
          certificate,
          notAfter: new Date(notAfterMs).toISOString(),
          [fields.hint]: cureOf(certificate),
        });
    }
    this.#alarmed = alarmed;
  }
}

/** What to do about a certificate that was not renewed in time. */
function cureOf(certificate: string): string {
  const [of = '', name] = certificate.split('/');
  if (name === undefined) return 'isthmus peer rotate tries again';
  return of === 'given'
    ? `isthmus peer invite ${name} --for cilium makes another one, to be applied there`
    : `isthmus peer show ${name} says what is wrong; isthmus peer rotate tries again`;
}
