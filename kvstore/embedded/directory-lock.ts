import { closeSync, constants, openSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { type Server, connect, createServer } from 'node:net';
import { hostname } from 'node:os';
import { type Clock, systemClock } from '../../runtime/clock/index.ts';
import { StoreDirectoryError } from './directory-error.ts';

/** Names of lock sockets begin so; whoever looks at what a directory holds passes over them. */
export const lockPrefix = 'isthmus-lock.';
/** A socket that is bound but does not listen yet. */
const unready = '.new';
/** A process that takes a connection and then says nothing is stopped or very busy, not gone. */
const answerTimeoutMs = 2_000;
const lookAgainMs = 20;

/** What the holder of a lock, or a process that wants it, tells whoever connects to its socket. */
interface Answer {
  readonly holds: boolean;
  readonly pid?: number;
  readonly host?: string;
}

/**
 * Makes sure that one process has the directory: each that wants it listens on a socket file of its own in there, and then
 * looks whether another one's answers. The kernel ends a socket with its process, and finds it by its file: so neither a
 * restart, nor a process id that is used again, nor the borders of containers that share the directory deceive.
 *
 * Two cannot both succeed. Each listens before it looks, so of two at least one sees the other; of two that still try,
 * the one with the lower name waits for the other to give way. A socket file gets its name when it listens already and
 * never again: one that refuses is a dead process's, and removing it takes nothing from anybody.
 * @throws {StoreDirectoryError} when another process has the directory, or it cannot hold a socket.
 */
export async function lockDirectory(directory: string, clock: Clock = systemClock): Promise<AsyncDisposable> {
  const lock = new DirectoryLock(directory, clock);
  try {
    await lock.take();
    return lock;
  } catch (error) {
    await lock[Symbol.asyncDispose]();
    throw error;
  }
}

class DirectoryLock implements AsyncDisposable {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #fd: number;
  readonly #name = `${lockPrefix}${Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString('hex')}`;
  readonly #server: Server;
  #holds = false;

  constructor(directory: string, clock: Clock) {
    this.#directory = directory;
    this.#clock = clock;
    this.#fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
    this.#server = createServer((socket) => {
      socket.on('error', () => undefined);
      const answer: Answer = { holds: this.#holds, pid: process.pid, host: hostname() };
      socket.end(JSON.stringify(answer));
    });
    this.#server.unref();
  }

  async take(): Promise<void> {
    await this.#listen();
    for (;;) {
      let undecided = false;
      for (const name of this.#others()) {
        const answer = await this.#ask(name);
        if (answer === 'nobody') rmSync(this.#path(name), { force: true });
        else if (answer === 'ending') undecided = true;
        else if (answer.holds || name < this.#name) throw inUse(this.#directory, answer);
        else undecided = true;
      }
      if (!undecided) break;
      await this.#clock.sleep(lookAgainMs);
    }
    this.#holds = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // First the name: between the two somebody else could find a socket that refuses, and that is fine as well.
    rmSync(this.#path(this.#name), { force: true });
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    closeSync(this.#fd);
  }

  async #listen(): Promise<void> {
    const path = this.#path(`${this.#name}${unready}`);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#server.once('error', reject);
        this.#server.listen({ path, exclusive: true }, resolve);
      });
      renameSync(path, this.#path(this.#name));
    } catch (cause) {
      const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
      throw new StoreDirectoryError(
        'unlockable',
        this.#directory,
        `Directory ${this.#directory} cannot hold the socket by which a store is locked (${code}); choose one on a local file system that this process may write to`,
        { cause },
      );
    }
  }

  #others(): string[] {
    const names = readdirSync(this.#path('.'));
    return names.filter((name) => name.startsWith(lockPrefix) && !name.endsWith(unready) && name !== this.#name);
  }

  #ask(name: string): Promise<Answer | 'nobody' | 'ending'> {
    return new Promise((resolve) => {
      const socket = connect({ path: this.#path(name) });
      let text = '';
      const done = (answer: Answer | 'nobody' | 'ending'): void => {
        timer[Symbol.dispose]();
        socket.destroy();
        resolve(answer);
      };
      const timer = this.#clock.timer(answerTimeoutMs, () => done({ holds: true }));
      socket.setEncoding('utf8');
      socket.on('data', (chunk: string) => (text += chunk));
      socket.once('end', () => done(parseAnswer(text)));
      socket.once('error', (error: NodeJS.ErrnoException) => done(whatErrorSays(error.code)));
    });
  }

  /** By the open directory, since the path of a socket ends at 107 bytes (unix(7)). */
  #path(name: string): string {
    return `/proc/self/fd/${this.#fd}/${name}`;
  }
}

function whatErrorSays(code: string | undefined): Answer | 'nobody' | 'ending' {
  if (code === 'ECONNREFUSED' || code === 'ENOENT') return 'nobody';
  // Closed while we waited to be accepted.
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'ending';
  // A full backlog, or the socket of another user: a living process.
  return { holds: true };
}

/** An answer that is cut off comes from one that is just ending. */
function parseAnswer(text: string): Answer | 'ending' {
  try {
    return JSON.parse(text) as Answer;
  } catch {
    return 'ending';
  }
}

function inUse(directory: string, { pid, host }: Answer): StoreDirectoryError {
  const who = pid === undefined ? 'another process' : `process ${pid}`;
  const where = host === undefined || host === hostname() ? '' : ` of ${host}`;
  return new StoreDirectoryError(
    'in-use',
    directory,
    `Store in ${directory} is in use by ${who}${where}; stop it first or choose another data directory`,
    pid === undefined ? {} : { pid },
  );
}
