import { type CFunction, bindLazily, ffi } from './ffi.ts';
import { kernelError } from './errno.ts';

type Pointer = Uint8Array | null;

interface Libc {
  readonly setns: CFunction<[fd: number, type: number]>;
  readonly unshare: CFunction<[flags: number]>;
  readonly mount: CFunction<
    [source: string | null, target: string, type: string | null, flags: number, data: string | null]
  >;
  readonly umount2: CFunction<[target: string, flags: number]>;
  readonly socket: CFunction<[family: number, type: number, protocol: number]>;
  readonly bind: CFunction<[fd: number, address: Uint8Array, length: number]>;
  readonly connect: CFunction<[fd: number, address: Uint8Array, length: number]>;
  readonly listen: CFunction<[fd: number, backlog: number]>;
  readonly getsockopt: CFunction<[fd: number, level: number, option: number, value: Uint8Array, length: Uint32Array]>;
  readonly setsockopt: CFunction<[fd: number, level: number, option: number, value: Uint8Array, length: number]>;
  readonly send: CFunction<[fd: number, data: Uint8Array, length: number, flags: number]>;
  readonly recv: CFunction<[fd: number, data: Uint8Array, length: number, flags: number]>;
  readonly sendto: CFunction<
    [fd: number, data: Uint8Array, length: number, flags: number, address: Pointer, addressLength: number]
  >;
  /** Formats into `buffer` from a C `va_list`, given as the address a callback received. */
  readonly vsnprintf: CFunction<[buffer: Uint8Array, size: number, format: unknown, args: unknown]>;
}

/** libc of the process itself; names and meanings are those of the manual pages (section 2 and 3). */
export const libc: Libc = bindLazily<Libc>(() => ffi().load(null), {
  setns: 'int setns(int fd, int type)',
  unshare: 'int unshare(int flags)',
  mount: 'int mount(const char *source, const char *target, const char *type, ulong flags, const char *data)',
  umount2: 'int umount2(const char *target, int flags)',
  socket: 'int socket(int family, int type, int protocol)',
  bind: 'int bind(int fd, void *address, uint32_t length)',
  connect: 'int connect(int fd, void *address, uint32_t length)',
  listen: 'int listen(int fd, int backlog)',
  getsockopt: 'int getsockopt(int fd, int level, int option, void *value, void *length)',
  setsockopt: 'int setsockopt(int fd, int level, int option, void *value, uint32_t length)',
  send: 'long send(int fd, void *data, size_t length, int flags)',
  recv: 'long recv(int fd, void *data, size_t length, int flags)',
  sendto: 'long sendto(int fd, void *data, size_t length, int flags, void *address, uint32_t addressLength)',
  vsnprintf: 'int vsnprintf(void *buffer, size_t size, void *format, void *args)',
});

/** The `errno` of the libc call just made on this thread; read it before anything else is called. */
export function lastErrno(): number {
  return ffi().errno();
}

/** `result` of a libc call, or its error. @throws {KernelError} for −1, naming `operation`. */
export function checked(operation: string, result: number): number {
  if (result >= 0) return result;
  throw kernelError(operation, lastErrno());
}
