import { connect } from 'node:net';
import type { Random } from '../../../../runtime/random/index.ts';

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const emptySettings = frame(4, 0, 0, Buffer.alloc(0));
/** What other protocols, and bad clients of ours, begin with. */
const beginnings = [
  Buffer.from('GET /version HTTP/1.1\r\nHost: x\r\n\r\n'),
  Buffer.from('GET /version HTTP/1.1\r\nX: '.padEnd(40_000, 'a')),
  Buffer.from('POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{}'),
  Buffer.from('160301020001000001fc0303', 'hex'),
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM'),
  Buffer.from('\0'.repeat(50)),
  preface,
] as const;
/** Longest wait for a server that says nothing: it may keep a quiet connection, we do not. */
const lookMs = 15;

/** Opens one connection, sends what no client would, and goes. Settles when the connection is closed. */
export function fuzzConnection(port: number, random: Random): Promise<void> {
  const bytes = Buffer.concat([
    ...opening(random),
    ...Array.from({ length: random.int(12) }, () => randomFrame(random)),
  ]);
  const cut = random.int(bytes.length + 1);
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => undefined);
    socket.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
    socket.resume();
    socket.write(bytes.subarray(0, cut));
    setImmediate(() => {
      if (!socket.destroyed) socket.end(bytes.subarray(cut));
    });
    const timer = setTimeout(() => socket.destroy(), lookMs);
  });
}

function opening(random: Random): readonly Buffer[] {
  if (random.chance(0.7)) return [preface, emptySettings];
  return random.chance(0.7) ? [random.pick(beginnings)] : [randomBytes(random, 1 + random.int(200))];
}

/** Any type, flags and stream; a length that is right, wrong, or not allowed. */
function randomFrame(random: Random): Buffer {
  const type = random.chance(0.9) ? random.int(10) : random.int(256);
  const body = random.chance(0.1) ? randomBytes(random, 16_384) : randomBytes(random, random.int(40));
  const made = frame(type, random.int(256), random.pick([0, 1, 2, 3, 0x7fffffff, 0xffffffff]), body);
  if (random.chance(0.1)) made.writeUIntBE(random.pick([0, body.length + 1, 0xffffff]), 0, 3);
  // The same one many times over: floods of settings, pings, resets, priorities, endless continuations.
  return random.chance(0.1) ? Buffer.concat(Array.from({ length: 200 }, () => made)) : made;
}

function frame(type: number, flags: number, stream: number, body: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, body]);
}

function randomBytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random.int(256)));
}
