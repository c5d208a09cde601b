import type { Socket } from 'node:net';
import { checked, libc } from './libc.ts';
import { SOL_SOCKET, SO_PEERCRED } from './socket-address.ts';

/**
 * User id of the process at the other end of a Unix socket, as it was when that end was connected (SO_PEERCRED,
 * unix(7)).
 * @throws {TypeError} when the socket is closed or has no descriptor; {@link KernelError} when it is no Unix socket.
 */
export function peerUid(socket: Socket): number {
  const credentials = Buffer.alloc(12);
  const length = new Uint32Array([credentials.length]);
  const fd = descriptorOf(socket);
  checked(
    'Cannot read the credentials of a socket peer',
    libc.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, length),
  );
  // struct ucred: pid, uid, gid. A TCP socket answers with pid 0 and uid −1 instead of an error.
  const uid = credentials.readUInt32LE(4);
  if (uid === 0xffffffff) throw new TypeError('The socket is no Unix socket: it has no peer credentials');
  return uid;
}

/** Node shows the descriptor of a socket nowhere else than in its handle. */
function descriptorOf(socket: Socket): number {
  const handle: unknown = Reflect.get(socket, '_handle');
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined;
  if (typeof fd !== 'number' || fd < 0) throw new TypeError('The socket is closed or has no descriptor');
  return fd;
}

/** Lets in only this process's own user and root. @throws {Error} naming the refused uid. */
export function checkPeerUid(socket: Socket): void {
  const uid = peerUid(socket);
  if (uid !== 0 && uid !== process.getuid?.()) throw new Error(`Callers of uid ${uid} are not served here`);
}
