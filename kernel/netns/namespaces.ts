import { closeSync, mkdirSync, openSync, unlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { asKernelError, checked, errnoName, kernelError, lastErrno, libc } from '../abi/index.ts';
import { type NamespaceHandle, runInNewNamespace } from './enter.ts';

/** Where iproute2 keeps named namespaces, too: `ip netns` sees ours. */
const directory = '/run/netns';

const MS_BIND = 4096;
const MNT_DETACH = 2;

/** Makes a network namespace and binds it to /run/netns/NAME. @throws {KernelError} `EEXIST` when the name is taken. */
export function createNamespace(name: string): NamespaceHandle {
  const path = pathOf(name);
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  try {
    closeSync(openSync(path, 'wx', 0o444));
  } catch (cause) {
    throw asKernelError(`Cannot make network namespace ${name}`, cause);
  }
  try {
    runInNewNamespace(() => {
      checked(
        `Cannot bind network namespace ${name} to ${path}`,
        libc.mount('/proc/thread-self/ns/net', path, 'none', MS_BIND, null),
      );
    });
    return openNamespace(path);
  } catch (error) {
    unlinkSync(path);
    throw error;
  }
}

/** Opens a namespace by name, or by the path of its file (also `/proc/PID/ns/net`). @throws {KernelError} */
export function openNamespace(nameOrPath: string): NamespaceHandle {
  const path = nameOrPath.includes('/') ? nameOrPath : pathOf(nameOrPath);
  try {
    return new OpenNamespace(basename(path), path, openSync(path, 'r'));
  } catch (cause) {
    throw asKernelError(`Cannot open network namespace ${path}`, cause);
  }
}

/**
 * Unbinds a namespace and removes its file; it ends when the last process, socket and descriptor in it does. False
 * when there is none of that name. A file left behind without a mount, as after a reboot, is removed too.
 */
export function deleteNamespace(name: string): boolean {
  const path = pathOf(name);
  if (libc.umount2(path, MNT_DETACH) < 0) {
    const errno = lastErrno();
    if (errnoName(errno) === 'ENOENT') return false;
    if (errnoName(errno) !== 'EINVAL') throw kernelError(`Cannot unbind network namespace ${name}`, errno);
  }
  unlinkSync(path);
  return true;
}

class OpenNamespace implements NamespaceHandle {
  readonly name: string;
  readonly path: string;
  #fd: number;

  constructor(name: string, path: string, fd: number) {
    this.name = name;
    this.path = path;
    this.#fd = fd;
  }

  get fd(): number {
    if (this.#fd < 0) throw new TypeError(`Network namespace ${this.name} is closed`);
    return this.#fd;
  }

  [Symbol.dispose](): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}

function pathOf(name: string): string {
  if (name === '' || name.startsWith('.') || name.includes('/'))
    throw new RangeError(`Not a name of a network namespace: ${JSON.stringify(name)}`);
  return join(directory, name);
}
