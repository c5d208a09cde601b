import { type FSWatcher, statSync, watch } from 'node:fs';
import type { Clock, Timer } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import type { PeerEvent } from './peer-config.ts';
import { KnownPeers } from './known-peers.ts';
import { scanDirectory } from './scan-directory.ts';

export interface PeerWatchOptions {
  readonly directory: string;
  /** A file of this name is ignored: the directory may be the same in every cluster. */
  readonly ownCluster: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** How often the directory is read without a reason, since not every file system reports changes; 30 s unless told. */
  readonly rescanMs?: number;
  /** Called after each look: why the directory could not be read, undefined where it could; undefined at the end, too. */
  readonly onLook?: (failure: string | undefined) => void;
}

/**
 * Follows the configuration directory until `signal` aborts: what is there, `listed`, then what changes. A file that
 * changes by a byte is added anew; rewriting the same bytes is nothing. What a change means is for {@link KnownPeers} to say.
 */
export async function* watchPeers(
  options: PeerWatchOptions,
  signal: AbortSignal,
): AsyncGenerator<PeerEvent, void, void> {
  const { directory, ownCluster, clock, log, rescanMs = 30_000, onLook } = options;
  const known = new KnownPeers(ownCluster, log);
  const named = new Set<string>();
  let first = true;
  using look = new Doorbell(clock, signal);
  using _end = { [Symbol.dispose]: () => onLook?.(undefined) };
  for (; !signal.aborted; await look.rung(Math.min(known.lookAgainMs ?? rescanMs, rescanMs))) {
    look.follow(directory, log);
    const scan = await scanDirectory(directory).catch((error: unknown) => {
      log.warn('Cannot read the directory of remote clusters', { directory, [fields.error]: error });
      onLook?.(error instanceof Error ? error.message : String(error));
      return undefined;
    });
    if (!scan) continue;
    onLook?.(undefined);
    for (const name of scan.misnamed.filter((name) => !named.has(name))) {
      named.add(name);
      log.error('A configuration is ignored: its file name is no cluster name', {
        file: name,
        [fields.hint]: 'Cluster names have 1 to 32 lower-case letters, digits and dashes',
      });
    }
    yield* known.changes(scan, clock.monotonicMs());
    if (first) yield { type: 'listed', unread: known.unread };
    first = false;
  }
}

/** Rings when the directory changes, after a while, or when all is over. */
class Doorbell implements Disposable {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #watcher: FSWatcher | undefined;
  /** Which directory is watched: one that took its place under the same name is another. */
  #watched: string | undefined;
  #pressed = false;
  #wake: (() => void) | undefined;

  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.#signal = signal;
    signal.addEventListener('abort', this.#press);
  }

  /** Begins to watch, unless it does already. The directory may appear later: the next look tries again. */
  follow(directory: string, log: Logger): void {
    const found = markOf(directory);
    if (this.#watcher && found === this.#watched) return;
    this.#watcher?.close();
    this.#watcher = undefined;
    this.#watched = found;
    const dismiss = (watcher: FSWatcher | undefined): void => {
      watcher?.close();
      if (this.#watcher === watcher) this.#watcher = undefined;
    };
    try {
      const watcher = watch(directory, { persistent: false });
      watcher.on('change', this.#press);
      watcher.on('error', (error) => {
        log.warn('The directory of remote clusters is no longer watched, only read from time to time', {
          directory,
          [fields.error]: error,
        });
        dismiss(watcher);
      });
      this.#watcher = watcher;
    } catch {
      // Not there yet, or not watchable: the periodic look finds it.
    }
  }

  async rung(timeoutMs: number): Promise<void> {
    if (!this.#pressed && !this.#signal.aborted) {
      await new Promise<void>((resolve) => {
        let timer: Timer | undefined;
        const done = (): void => {
          timer?.[Symbol.dispose]();
          this.#wake = undefined;
          resolve();
        };
        this.#wake = done;
        timer = this.#clock.timer(timeoutMs, done);
      });
    }
    this.#pressed = false;
  }

  [Symbol.dispose](): void {
    this.#signal.removeEventListener('abort', this.#press);
    this.#watcher?.close();
  }

  readonly #press = (): void => {
    this.#pressed = true;
    this.#wake?.();
  };
}

/**
 * Tells one directory from another of the same name; undefined for what is not there, or cannot be looked at. A file system gives the number
 * of one that was removed to the next one that is made (ext4 does so at once), but not the time.
 */
function markOf(path: string): string | undefined {
  try {
    const { ino, birthtimeNs } = statSync(path, { bigint: true });
    return `${ino} ${birthtimeNs}`;
  } catch {
    return undefined;
  }
}
