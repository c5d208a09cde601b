/**
 * One end of a measurement, in its own process: blocking sockets through the FFI, so that Node's event loop is no part of
 * what is measured. Arguments: mode, address, port, amount, cgroup (optional).
 * Servers (`sink`, `pong`, `accept`) print `ready` and serve until they are killed; clients print one JSON line.
 */
import { setPriority } from 'node:os';
import koffi from 'koffi';
import { joinCgroup } from '../../../kernel/index.ts';
import { ipToBytes } from '../../../values/ip/index.ts';

const library = koffi.load('libc.so.6');
const libc = {
  socket: library.func('int socket(int family, int type, int protocol)'),
  connect: library.func('int connect(int fd, void *address, uint32_t length)'),
  bind: library.func('int bind(int fd, void *address, uint32_t length)'),
  listen: library.func('int listen(int fd, int backlog)'),
  accept: library.func('int accept(int fd, void *address, void *length)'),
  send: library.func('long send(int fd, void *data, size_t length, int flags)'),
  recv: library.func('long recv(int fd, void *data, size_t length, int flags)'),
  setsockopt: library.func('int setsockopt(int fd, int level, int name, void *value, uint32_t length)'),
  close: library.func('int close(int fd)'),
};

const [mode = '', address = '', port = '0', amount = '0', cgroup] = process.argv.slice(2);
const one = Buffer.from([1, 0, 0, 0]);
const chunk = Buffer.alloc(256 * 1024);
const byte = Buffer.alloc(1);

/** Before the first socket: a socket keeps the cgroup that it was made in. */
if (cgroup !== undefined) joinCgroup(cgroup);
setPriority(-5);

function socketAddress(): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(2, 0);
  bytes.writeUInt16BE(Number(port), 2);
  bytes.set(ipToBytes(address), 4);
  return bytes;
}

function checked(operation: string, result: number): number {
  if (result < 0) throw new Error(`${operation} ${address}:${port}: errno ${koffi.errno()}`);
  return result;
}

function tcp(): number {
  return checked('socket', libc.socket(2, 1, 0));
}

function connected(noDelay: boolean): number {
  const fd = tcp();
  if (noDelay) libc.setsockopt(fd, 6, 1, one, 4);
  checked('connect', libc.connect(fd, socketAddress(), 16));
  return fd;
}

function serve(handle: (fd: number) => void): void {
  const listener = tcp();
  libc.setsockopt(listener, 1, 2, one, 4);
  checked('bind', libc.bind(listener, socketAddress(), 16));
  checked('listen', libc.listen(listener, 511));
  process.stdout.write('ready\n');
  // Let the line out before this thread never returns.
  setTimeout(() => {
    for (;;) {
      const fd = checked('accept', libc.accept(listener, null, null));
      handle(fd);
      libc.close(fd);
    }
  }, 50);
}

/** Microseconds, median and 99th percentile. */
function summary(nanoseconds: readonly number[]): string {
  const sorted = nanoseconds.toSorted((a, b) => a - b);
  const at = (part: number): number => (sorted[Math.floor(sorted.length * part)] ?? 0) / 1000;
  return JSON.stringify({ p50: at(0.5), p99: at(0.99) });
}

function timed(count: number, action: () => void): readonly number[] {
  for (let i = 0; i < Math.min(200, count); i++) action();
  return Array.from({ length: count }, () => {
    const begin = process.hrtime.bigint();
    action();
    return Number(process.hrtime.bigint() - begin);
  });
}

switch (mode) {
  case 'sink':
    serve((fd) => {
      while (libc.recv(fd, chunk, chunk.length, 0) > 0);
    });
    break;
  case 'pong':
    serve((fd) => {
      libc.setsockopt(fd, 6, 1, one, 4);
      while (libc.recv(fd, byte, 1, 0) > 0) libc.send(fd, byte, 1, 0);
    });
    break;
  case 'accept':
    serve(() => undefined);
    break;
  case 'source': {
    const fd = connected(false);
    const begin = performance.now();
    let bytes = 0;
    // The first part of the time fills windows and caches.
    let counted = 0;
    let from = begin;
    for (let now = begin; now < begin + Number(amount) * 1000; now = performance.now()) {
      const sent = checked('send', libc.send(fd, chunk, chunk.length, 0));
      bytes += sent;
      if (now - begin < 200) {
        counted = bytes;
        from = now;
      }
    }
    const seconds = (performance.now() - from) / 1000;
    libc.close(fd);
    console.log(JSON.stringify({ gigabits: ((bytes - counted) * 8) / seconds / 1e9 }));
    break;
  }
  case 'ping': {
    const fd = connected(true);
    const times = timed(Number(amount), () => {
      checked('send', libc.send(fd, byte, 1, 0));
      checked('recv', libc.recv(fd, byte, 1, 0));
    });
    libc.close(fd);
    console.log(summary(times));
    break;
  }
  case 'connect':
    console.log(summary(timed(Number(amount), () => void libc.close(connected(false)))));
    break;
  default:
    throw new RangeError(`No such mode: ${mode}`);
}
