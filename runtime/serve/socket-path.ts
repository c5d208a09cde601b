import { chmod, lstat, unlink } from 'node:fs/promises';
import { type Server, connect } from 'node:net';
import { dirname } from 'node:path';
import { makeDirectory } from '../files/index.ts';
import { ListenError, listen } from './listen.ts';

/** `sun_path` holds 108 bytes with the closing zero (unix(7)); the kernel would refuse a longer path without words. */
const longestPath = 107;

/** A socket's directory that cannot be trusted. */
export class SocketDirectoryError extends Error {
  readonly code = 'SOCKET_DIRECTORY';
  readonly directory: string;

  constructor(directory: string, problem: string) {
    super(`Cannot put a control socket into ${directory}: ${problem}`);
    this.name = 'SocketDirectoryError';
    this.directory = directory;
  }
}

/**
 * Makes `server` listen at `path`, mode 0600. The directory is created 0700 when it is missing; one that others own or
 * may write to is refused, since they could put their own socket there. The socket of a dead process is removed.
 * @throws {SocketDirectoryError} {@link ListenError} when a living process listens there.
 */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  if (Buffer.byteLength(path) > longestPath)
    throw new ListenError(path, `the path is longer than ${longestPath} bytes`);
  await privateDirectory(dirname(path));
  await removeStale(path);
  // Listening on a path happens before `listen` returns, so no connection sees a wider mode than this.
  const umask = process.umask(0o177);
  let listening: Promise<void>;
  try {
    listening = listen(server, { path });
  } finally {
    process.umask(umask);
  }
  await listening;
  await chmod(path, 0o600);
}

async function privateDirectory(directory: string): Promise<void> {
  makeDirectory(directory, 0o700);
  const found = await lstat(directory);
  if (!found.isDirectory()) throw new SocketDirectoryError(directory, 'it is not a directory');
  const uid = process.getuid?.();
  if (uid !== undefined && found.uid !== uid)
    throw new SocketDirectoryError(directory, `it belongs to user ${found.uid}, not to ${uid}`);
  if ((found.mode & 0o022) !== 0)
    throw new SocketDirectoryError(
      directory,
      `others may write to it (mode ${(found.mode & 0o777).toString(8)}); chmod 700 cures it`,
    );
}

async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (!found) return;
  if (!found.isSocket()) throw new ListenError(path, 'there is a file of another kind');
  if (await answers(path)) throw new ListenError(path, 'EADDRINUSE');
  await unlink(path).catch(() => undefined);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    const done = (alive: boolean): void => {
      socket.destroy();
      resolve(alive);
    };
    socket.once('connect', () => done(true));
    // A full backlog (EAGAIN) is a living process too.
    socket.once('error', (error: NodeJS.ErrnoException) =>
      done(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    );
  });
}
