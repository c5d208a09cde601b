import { openSync } from 'node:fs';
import { checked, libc } from '../abi/index.ts';

const CLONE_NEWNET = 0x40000000;

/** An open network namespace. Disposing of it closes the descriptor; the namespace lives as long as anything uses it. */
export interface NamespaceHandle extends Disposable {
  readonly name: string;
  /** Where it is bound, normally /run/netns/NAME. */
  readonly path: string;
  /** Usable until disposed of; also as `netns` of a veth peer. */
  readonly fd: number;
}

/** The namespace this thread is in now, as a descriptor; the first one is home and stays open for the thread's life. */
let currentFd: number | undefined;

/**
 * Runs `body` with this thread inside `namespace` and comes back, whatever happens. What `body` makes there (sockets,
 * netlink sockets, child processes) belongs to the namespace for good.
 *
 * `body` is synchronous, since the whole thread moves: work that Node does on a later tick (`net.connect`, `listen`) or
 * on another thread (name look-ups, `fs.promises`, FFI `.async`) would happen in the wrong namespace.
 * @throws {TypeError} when `body` returns a promise.
 */
export function runInNamespace<T>(namespace: Pick<NamespaceHandle, 'fd' | 'name'>, body: () => T): T {
  const back = (currentFd ??= openCurrent());
  enter(namespace.fd, namespace.name);
  currentFd = namespace.fd;
  try {
    const result = body();
    if (typeof result === 'object' && result !== null && 'then' in result)
      throw new TypeError('Work inside a network namespace must be synchronous: it returned a promise');
    return result;
  } finally {
    currentFd = back;
    enter(back, 'the one before');
  }
}

/** Moves this thread into a namespace that did not exist before, runs `body` there and comes back. */
export function runInNewNamespace<T>(body: () => T): T {
  const back = (currentFd ??= openCurrent());
  checked('Cannot make a network namespace', libc.unshare(CLONE_NEWNET));
  try {
    return body();
  } finally {
    enter(back, 'the one before');
  }
}

function openCurrent(): number {
  return openSync('/proc/thread-self/ns/net', 'r');
}

function enter(fd: number, name: string): void {
  checked(`Cannot enter network namespace ${name}`, libc.setns(fd, CLONE_NEWNET));
}
