import { type FSWatcher, watch } from 'node:fs';
import type { Clock } from '../clock/index.ts';
import { fields, type Logger } from '../log/index.ts';
import { inWords, validityProblem } from './certificate.ts';
import { type TlsFiles, type TlsMaterial, readTlsFiles } from './files.ts';
import { foldersOf } from './folders.ts';

export interface TlsSourceDependencies {
  readonly clock: Clock;
  readonly log: Logger;
}

/** Several files are replaced one after the other: they are looked at when it has been quiet for so long. */
const settleMs = 50;
/** Where the kernel does not tell (network file systems, no watches left), they are looked at this often. */
const lookAgainMs = 30_000;
/** What is left of a life when it is time to call somebody: renewal is due after two thirds. */
const alarmShare = 1 / 6;

/**
 * Certificate files that are replaced while a process lives. Whoever makes a connection asks for them each time; whoever
 * serves follows them. Connections that stand are never touched. Files that cannot be used (half a rotation, a key of
 * another certificate) change nothing: the last good ones stay in use, and a warning says why.
 */
export class TlsSource {
  readonly files: TlsFiles;
  readonly #clock: Clock;
  readonly #log: Logger;
  #last: TlsMaterial | undefined;
  #lastWarning = '';
  /** Fingerprint of the certificate that was named as about to expire. */
  #alarmed = '';

  constructor(files: TlsFiles, { clock, log }: TlsSourceDependencies) {
    this.files = files;
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * The files as they are now; the very same object while they are unchanged.
   * @throws {TlsFileError} when they cannot be used, and never could.
   */
  async read(): Promise<TlsMaterial> {
    const last = this.#last;
    let found: TlsMaterial;
    try {
      found = await readTlsFiles(this.files);
    } catch (error) {
      if (!last) throw error;
      this.#warn('Certificate files cannot be used; the last good ones stay in use', { [fields.error]: error });
      return last;
    }
    this.#alarm(found);
    if (last && sameBytes(last, found)) return last;
    // Whoever reads at the same time may have taken note of the same change.
    if (this.#last && this.#last !== last && sameBytes(this.#last, found)) return this.#last;
    this.#last = found;
    this.#tell(found, last !== undefined);
    return found;
  }

  /** The files now, and again whenever they have changed, until `signal` aborts. @throws {TlsFileError} at first only */
  async *follow(signal: AbortSignal): AsyncGenerator<TlsMaterial, void, void> {
    const { trustedCaFile, certFile, keyFile } = this.files;
    const files = [trustedCaFile, certFile, keyFile].filter((file) => file !== undefined);
    let given: TlsMaterial | undefined;
    while (!signal.aborted) {
      // Watched first and read then: a change in between wakes us.
      using changes = new Changes(await foldersOf(files));
      const material = await this.read();
      if (material !== given) {
        given = material;
        yield material;
      }
      await changes.next(this.#clock, signal);
    }
  }

  #tell({ certificate, files }: TlsMaterial, again: boolean): void {
    this.#lastWarning = '';
    if (!certificate) return;
    const facts = { file: files.certFile, certificate: inWords(certificate) };
    if (again) this.#log.info('Certificate was replaced', facts);
    const problem = validityProblem(certificate, this.#clock.now());
    if (problem) this.#warn('Our certificate is of no use', { ...facts, problem: problem.words });
  }

  /** Once for each certificate: whoever renews it should have done so long ago. */
  #alarm({ certificate, files }: TlsMaterial): void {
    if (!certificate || certificate.fingerprint === this.#alarmed) return;
    const { fingerprint, notBeforeMs, notAfterMs } = certificate;
    const nowMs = this.#clock.now();
    if (nowMs < notAfterMs - (notAfterMs - notBeforeMs) * alarmShare || nowMs > notAfterMs) return;
    this.#alarmed = fingerprint;
    this.#log.error('A certificate is about to expire and was not renewed', {
      file: files.certFile,
      certificate: inWords(certificate),
      notAfter: new Date(notAfterMs).toISOString(),
      [fields.hint]: 'replace the file: that is noticed',
    });
  }

  /** Once for each different problem. */
  #warn(message: string, facts: Readonly<Record<string, unknown>>): void {
    const text = `${message} ${Object.values(facts).map(String).join(' ')}`;
    if (text === this.#lastWarning) return;
    this.#lastWarning = text;
    this.#log.warn(message, facts);
  }
}

/** Tells that something has changed in one of several folders. */
class Changes implements Disposable {
  readonly #watchers: FSWatcher[] = [];
  #changed = false;
  #wake: (() => void) | undefined;

  constructor(folders: Iterable<string>) {
    for (const folder of folders) {
      try {
        const watcher = watch(folder, { persistent: false }, () => this.#change());
        watcher.on('error', () => this.#change());
        this.#watchers.push(watcher);
      } catch {
        // No such folder (yet), or no watches left: the files are looked at again now and then.
      }
    }
  }

  async next(clock: Clock, signal: AbortSignal): Promise<void> {
    if (!this.#changed && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      using _timer = clock.timer(lookAgainMs, resolve);
      this.#wake = resolve;
      const onAbort = (): void => resolve();
      signal.addEventListener('abort', onAbort, { once: true });
      await promise;
      signal.removeEventListener('abort', onAbort);
    }
    if (this.#changed) await clock.sleep(settleMs, signal).catch(() => undefined);
  }

  [Symbol.dispose](): void {
    for (const watcher of this.#watchers) watcher.close();
  }

  #change(): void {
    this.#changed = true;
    this.#wake?.();
  }
}

function sameBytes(one: TlsMaterial, other: TlsMaterial): boolean {
  const same = (a: Buffer | undefined, b: Buffer | undefined): boolean => (a && b ? a.equals(b) : a === b);
  return same(one.ca, other.ca) && same(one.cert, other.cert) && same(one.key, other.key);
}
