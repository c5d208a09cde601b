import { type Server, type Socket, createServer } from 'node:net';
import type { VolatileDisk } from './volatile-disk.ts';

/** NBD's protocol (doc/proto.md of the NBD project), the part that QEMU speaks: fixed newstyle, simple replies. */
const magic = {
  server: Buffer.from('NBDMAGICIHAVEOPT'),
  optionReply: 0x3e889045565a9n,
  request: 0x25609513,
  reply: 0x67446698,
} as const;
const fixedNewstyleWithoutZeroes = 3;
const option = { abort: 2, go: 7 } as const;
const optionReply = { ack: 1, info: 3, unsupported: 0x80000001 } as const;
/** Has flags, takes flushes and forced writes. */
const transmissionFlags = 1 | 4 | 8;
const command = { read: 0, write: 1, disconnect: 2, flush: 3 } as const;
const forced = 1;
const notSupported = 95;
/** A flush takes its time, as on real disks. */
const flushMs = 20;

/** Disposing of it closes every connection. */
export interface NbdServer extends AsyncDisposable {
  /** From now on nothing is taken and nothing answered, as of a disk without power. */
  freeze(): void;
}

/** Serves a disk on a unix socket. */
export async function serveNbd(disk: VolatileDisk, path: string): Promise<NbdServer> {
  const frozen = new AbortController();
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    // A guest that is killed leaves in the middle of anything.
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
    converse(disk, socket, frozen.signal);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return {
    freeze: () => {
      frozen.abort();
      for (const socket of sockets) socket.pause();
    },
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** A generator asks for a number of bytes at a time and is given them. */
function converse(disk: VolatileDisk, socket: Socket, frozen: AbortSignal): void {
  const talk = conversation(disk, (bytes) => {
    if (!frozen.aborted) socket.write(bytes);
  });
  let chunks: Buffer[] = [];
  let have = 0;
  let wanted = talk.next();
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    have += chunk.length;
    while (!frozen.aborted && !wanted.done && have >= wanted.value) {
      const all = Buffer.concat(chunks);
      const bytes = all.subarray(0, wanted.value);
      chunks = [all.subarray(wanted.value)];
      have = all.length - wanted.value;
      wanted = talk.next(bytes);
    }
    if (wanted.done) socket.end();
  });
}

function* conversation(disk: VolatileDisk, send: (bytes: Buffer) => void): Generator<number, void, Buffer> {
  send(Buffer.concat([magic.server, Buffer.from([0, fixedNewstyleWithoutZeroes])]));
  yield 4;
  for (;;) {
    const head = yield 16;
    const wanted = head.readUInt32BE(8);
    yield head.readUInt32BE(12);
    if (wanted === option.go) break;
    send(replyTo(wanted, wanted === option.abort ? optionReply.ack : optionReply.unsupported));
    if (wanted === option.abort) return;
  }
  const shape = Buffer.alloc(12);
  shape.writeBigUInt64BE(BigInt(disk.bytes), 2);
  shape.writeUInt16BE(transmissionFlags, 10);
  send(Buffer.concat([replyTo(option.go, optionReply.info, shape), replyTo(option.go, optionReply.ack)]));
  for (;;) {
    const head = yield 28;
    if (head.readUInt32BE(0) !== magic.request) return;
    const [flags, type] = [head.readUInt16BE(4), head.readUInt16BE(6)];
    const offset = Number(head.readBigUInt64BE(16));
    const length = head.readUInt32BE(24);
    const answer = Buffer.alloc(16);
    answer.writeUInt32BE(magic.reply, 0);
    head.copy(answer, 8, 8, 16);
    switch (type) {
      case command.read:
        send(Buffer.concat([answer, disk.read(offset, length)]));
        continue;
      case command.write:
        disk.write(offset, yield length);
        break;
      case command.flush:
        break;
      case command.disconnect:
        return;
      default:
        answer.writeUInt32BE(notSupported, 4);
    }
    if (type !== command.flush && !(flags & forced)) {
      send(answer);
      continue;
    }
    // A forced write flushes everything, which is more than it must. Others are answered meanwhile.
    const flushed = disk.flush();
    setTimeout(() => {
      flushed();
      send(answer);
    }, flushMs);
  }
}

function replyTo(wanted: number, type: number, data = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(20);
  head.writeBigUInt64BE(magic.optionReply, 0);
  head.writeUInt32BE(wanted, 8);
  head.writeUInt32BE(type, 12);
  head.writeUInt32BE(data.length, 16);
  return Buffer.concat([head, data]);
}
