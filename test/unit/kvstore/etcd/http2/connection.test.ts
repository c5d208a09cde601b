import { type Http2Server, type ServerHttp2Stream, constants, createServer } from 'node:http2';
import { type AddressInfo, type Socket, connect, createServer as createTcpServer } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import {
  Http2Connection,
  Http2Error,
  Intake,
  PageRoom,
  encodeHeaders,
} from '../../../../../kvstore/etcd/http2/index.ts';
import * as frames from '../../../../../kvstore/etcd/http2/frames.ts';
import { mutate } from '../../../../support/mutate.ts';
import { Random } from '../../../../../runtime/random/index.ts';

const { errorCode, flag, frameType } = frames;

const request = encodeHeaders([
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/x'],
  [':authority', 'a'],
]);

interface Answer {
  readonly headers: Record<string, string>[];
  readonly body: Buffer;
  readonly code: number | undefined;
  readonly error: unknown;
  readonly ended: boolean;
}

/** A client of whoever listens on the port. */
async function open(port: number): Promise<Client> {
  const intake = new Intake();
  const socket = connect({ port, host: '127.0.0.1', onread: intake.onread });
  await new Promise((resolve) => socket.once('connect', resolve));
  return new Client(socket, intake);
}

class Client implements Disposable {
  readonly http2: Http2Connection;
  readonly ready: Promise<void>;
  readonly closed: Promise<unknown>;
  readonly goaways: number[] = [];

  constructor(socket: Socket, intake: Intake) {
    const ready = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<unknown>();
    this.ready = ready.promise;
    this.closed = closed.promise;
    this.http2 = new Http2Connection(socket, intake, {
      ready: ready.resolve,
      goaway: (code) => this.goaways.push(code),
      closed: closed.resolve,
    });
  }

  call(body: Uint8Array, { room, reads = true }: { room?: PageRoom; reads?: boolean } = {}): Promise<Answer> {
    const headers: Record<string, string>[] = [];
    const chunks: Buffer[] = [];
    let ended = false;
    return new Promise((resolve) => {
      const stream = this.http2.open(
        request,
        {
          headers: (each) => headers.push(Object.fromEntries(each)),
          data: (chunk) => {
            chunks.push(Buffer.from(chunk));
            if (reads) stream.consumed(chunk.length);
          },
          ended: () => (ended = true),
          closed: (code, error) => resolve({ headers, body: Buffer.concat(chunks), code, error, ended }),
        },
        room,
      );
      stream.end(body);
    });
  }

  [Symbol.dispose](): void {
    this.http2.destroy();
  }
}

/** A server of node’s, which others have tested. */
async function serve(
  answer: (stream: ServerHttp2Stream, body: Buffer) => void,
  options: Parameters<typeof createServer>[0] = {},
): Promise<{ readonly port: number; readonly server: Http2Server } & AsyncDisposable> {
  const server = createServer(options);
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => undefined);
  });
  server.on('stream', (stream) => {
    const chunks: Buffer[] = [];
    stream.on('error', () => undefined);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => answer(stream, Buffer.concat(chunks)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    server,
    [Symbol.asyncDispose]: async () => {
      for (const session of sessions) session.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A server that says these bytes to whoever connects. */
async function say(
  said: readonly Uint8Array[],
  finish: 'stay' | 'end' | 'reset' = 'stay',
): Promise<{ readonly port: number } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).resume();
    // Once a stream is open.
    setImmediate(() => {
      socket.write(Buffer.concat(said));
      if (finish === 'end') socket.end();
      else if (finish === 'reset') socket.resetAndDestroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function withoutDate(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name !== 'date'));
}

const settings = frames.settingsFrame([]);
const megabytes = (count: number): Buffer => {
  const bytes = Buffer.alloc(count << 20);
  for (let i = 0; i < bytes.length; i += 4) bytes.writeUInt32LE(i, i);
  return bytes;
};
const echo = (stream: ServerHttp2Stream, body: Buffer): void => {
  stream.respond({ ':status': 200, 'a-name': 'Some value, with "signs" ~^|' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(body);
};

describe('a connection, with a server of node’s', () => {
  test.each([0, 1, 16_384, 65_535, 65_536, 1 << 20, 20 << 20])(
    'sends and gets %i bytes whole, beyond every window',
    async (length) => {
      await using server = await serve(echo);
      using client = await open(server.port);
      const body = megabytes(20).subarray(0, length);
      const answer = await client.call(body);
      expect(answer.headers.map(withoutDate)).toEqual([
        { ':status': '200', 'a-name': 'Some value, with "signs" ~^|' },
        { 'grpc-status': '0' },
      ]);
      expect(answer.body.equals(body)).toBe(true);
      expect(answer).toMatchObject({ ended: true, code: undefined, error: undefined });
    },
  );

  test('does many calls side by side, one after the other where the server takes no more', async () => {
    await using server = await serve(echo, { settings: { maxConcurrentStreams: 3 } });
    using client = await open(server.port);
    await client.ready;
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => client.call(Buffer.alloc(70_000, i))));
    for (const [i, { body }] of answers.entries()) expect(body.equals(Buffer.alloc(70_000, i))).toBe(true);
  });

  test('understands padding', async () => {
    await using server = await serve(echo, { paddingStrategy: constants.PADDING_STRATEGY_MAX });
    using client = await open(server.port);
    const body = megabytes(3);
    expect((await client.call(body)).body.equals(body)).toBe(true);
  });

  test('tells of a call that the server resets, and goes on with others', async () => {
    await using server = await serve((stream, body) =>
      body.length === 1 ? stream.close(constants.NGHTTP2_REFUSED_STREAM) : echo(stream, body),
    );
    using client = await open(server.port);
    expect(await client.call(Buffer.alloc(1))).toMatchObject({ code: errorCode.refusedStream, ended: false });
    expect((await client.call(Buffer.alloc(2))).ended).toBe(true);
  });

  test('lets open calls end well behind a GOAWAY, and takes no new ones', async () => {
    let finish = (): void => undefined;
    await using server = await serve((stream, body) => {
      stream.session?.goaway(0, 1);
      finish = () => echo(stream, body);
    });
    using client = await open(server.port);
    const call = client.call(Buffer.alloc(5));
    while (client.goaways.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(client.http2.usable).toBe(false);
    expect(await client.call(Buffer.alloc(1))).toMatchObject({ code: errorCode.refusedStream });
    finish();
    expect((await call).ended).toBe(true);
    await client.closed;
  });

  test('is answered to a PING, and answers one', async () => {
    await using server = await serve(echo);
    const answered = new Promise((resolve) =>
      server.server.on('session', (session) => session.ping((error: Error | null) => resolve(error))),
    );
    using client = await open(server.port);
    await new Promise<void>((resolve) => client.http2.ping(resolve));
    expect(await answered).toBeNull();
  });

  test('answers a PING behind megabytes of its own that the other side takes slowly', async () => {
    const granted = 64 << 20;
    const ping = frames.frameOf(frameType.ping, 0, 0, Buffer.from('12345678'));
    const pong = frames.frameOf(frameType.ping, flag.ack, 0, Buffer.from('12345678'));
    const read = Promise.withResolvers<Buffer>();
    const sockets: Socket[] = [];
    const server = createTcpServer({ pauseOnConnect: true }, (socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      // It reads nothing until it was sent far more than lies in between; grpc-go asks in the meantime how far away we are.
      socket.write(frames.settingsFrame([[frames.setting.initialWindowSize, granted]]));
      socket.write(Buffer.concat([frames.numberFrame(frameType.windowUpdate, 0, granted), ping]));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      using client = await open((server.address() as AddressInfo).port);
      void client.call(megabytes(32));
      const lost = client.closed.then((error) => error);
      await client.ready;
      let before: Buffer = Buffer.alloc(0);
      for (const socket of sockets)
        socket.resume().on('data', (chunk: Buffer) => {
          const all = Buffer.concat([before, chunk]);
          if (all.includes(pong)) read.resolve(all);
          before = all.subarray(1 - pong.length);
        });
      expect(await Promise.race([read.promise, lost])).toBeInstanceOf(Buffer);
    } finally {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  test('a stream that nobody reads holds up no other, and holds a window at most', async () => {
    await using server = await serve((stream, body) => echo(stream, body.length === 1 ? megabytes(40) : body), {
      maxSessionMemory: 1000,
    });
    using client = await open(server.port);
    const held = { bytes: 0 };
    const stalled = client.http2.open(request, {
      headers: () => undefined,
      data: (chunk) => (held.bytes += chunk.length),
      ended: () => undefined,
      closed: () => undefined,
    });
    stalled.end(Buffer.alloc(1));
    while (held.bytes < 16 << 20) await new Promise((resolve) => setImmediate(resolve));
    const body = megabytes(18);
    expect((await client.call(body)).body.equals(body)).toBe(true);
    expect(held.bytes).toBe(16 << 20);
    stalled.cancel(errorCode.cancel);
    expect((await client.call(Buffer.alloc(2))).ended).toBe(true);
  });

  test('a call ends with an error when the line is cut, at any byte', async () => {
    await using server = await serve(echo);
    using client = await open(server.port);
    const call = client.call(megabytes(20));
    await client.ready;
    client.http2.destroy(new Error('cut'));
    expect(await call).toMatchObject({ ended: false, error: new Error('cut') });
    expect(await client.call(Buffer.alloc(1))).toMatchObject({ ended: false, code: errorCode.refusedStream });
  });

  test.each(['end', 'reset'] as const)('a call ends with an error when the line does (%s)', async (finish) => {
    await using server = await say([frames.settingsFrame([]), Buffer.from([0, 0, 9])], finish);
    using client = await open(server.port);
    const call = client.call(Buffer.alloc(3));
    expect(await client.closed).toBeInstanceOf(Error);
    expect(await call).toMatchObject({ ended: false, error: expect.any(Error) });
  });

  test('rooms are used again, and not before they are disposed of', async () => {
    await using server = await serve(echo);
    using client = await open(server.port);
    using _other = new PageRoom();
    const body = megabytes(2);
    for (let i = 0; i < 5; i++) {
      using room = new PageRoom();
      expect((await client.call(body, { room })).body.equals(body)).toBe(true);
    }
    const room = new PageRoom();
    room[Symbol.dispose]();
    expect(() => room.next()).toThrow('disposed of');
  });
});

const headerBlock = encodeHeaders([[':status', '200']]);
const data = (stream: number, length: number, flags = 0): Buffer =>
  frames.frameOf(frameType.data, flags, stream, Buffer.alloc(length));

describe('a connection, with a server that does not keep to HTTP/2', () => {
  test.each<readonly [string, number, readonly Uint8Array[]]>([
    ['a frame longer than was allowed', errorCode.frameSize, [data(1, 16_385)]],
    ['more content than was granted', errorCode.flowControl, Array.from({ length: 1030 }, () => data(1, 16_384))],
    ['content of a stream that nobody opened', errorCode.protocol, [data(3, 1)]],
    ['content of stream 0', errorCode.protocol, [data(0, 1)]],
    ['content of a stream of its own', errorCode.protocol, [data(2, 1)]],
    [
      'headers of a stream that nobody opened',
      errorCode.protocol,
      [frames.frameOf(1, flag.endHeaders, 9, headerBlock)],
    ],
    ['a frame in the middle of headers', errorCode.protocol, [frames.frameOf(1, 0, 1, headerBlock), data(1, 1)]],
    [
      'headers that go on without a beginning',
      errorCode.protocol,
      [frames.frameOf(9, flag.endHeaders, 1, headerBlock)],
    ],
    [
      'headers without end',
      errorCode.enhanceYourCalm,
      [
        frames.frameOf(1, 0, 1, headerBlock),
        ...Array.from({ length: 9000 }, () => frames.frameOf(9, 0, 1, Buffer.alloc(0))),
      ],
    ],
    [
      'headers again and again',
      errorCode.enhanceYourCalm,
      Array.from({ length: 20 }, () => frames.frameOf(1, flag.endHeaders, 1, headerBlock)),
    ],
    ['headers that are none', errorCode.compression, [frames.frameOf(1, flag.endHeaders, 1, Buffer.from([0xbe]))]],
    ['a push', errorCode.protocol, [frames.frameOf(frameType.pushPromise, 4, 1, Buffer.alloc(8))]],
    ['settings of a strange length', errorCode.frameSize, [frames.frameOf(4, 0, 0, Buffer.alloc(5))]],
    ['settings of a stream', errorCode.protocol, [frames.frameOf(4, 0, 1, Buffer.alloc(6))]],
    ['a window that is none', errorCode.flowControl, [frames.settingsFrame([[4, 2 ** 31]])]],
    ['frames that are too small', errorCode.protocol, [frames.settingsFrame([[5, 100]])]],
    ['a grant of nothing', errorCode.flowControl, [frames.numberFrame(8, 0, 0)]],
    ['a grant beyond the largest window', errorCode.flowControl, [frames.numberFrame(8, 0, 2 ** 31 - 1)]],
    ['a PING of a strange length', errorCode.protocol, [frames.frameOf(6, 0, 0, Buffer.alloc(7))]],
    ['padding and nothing else', errorCode.protocol, [frames.frameOf(0, flag.padded, 1, Buffer.from([3, 0]))]],
    ['empty frames without end', errorCode.enhanceYourCalm, Array.from({ length: 10_002 }, () => data(1, 0))],
    ['HTTP/1.1', errorCode.frameSize, [Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')]],
  ])('ends it and all its calls: %s', async (_, code, said) => {
    await using server = await say([settings, ...said]);
    using client = await open(server.port);
    // Written in one turn with the preface: it is open before the server says anything.
    const call = client.call(Buffer.alloc(1), { reads: false });
    const error = await client.closed;
    expect(error).toBeInstanceOf(Http2Error);
    expect(error).toMatchObject({ code });
    expect(await call).toMatchObject({ ended: false, error });
  });

  test('survives fifty thousand frames that make no sense', async () => {
    const random = new Random(5);
    const sensible: readonly [Buffer, ...Buffer[]] = [
      settings,
      frames.frameOf(1, flag.endHeaders, 1, headerBlock),
      data(1, 20),
      frames.frameOf(1, flag.endHeaders | flag.endStream, 1, encodeHeaders([['grpc-status', '0']])),
      frames.frameOf(6, 0, 0, Buffer.alloc(8)),
      frames.numberFrame(8, 1, 5),
      frames.numberFrame(3, 1, 5),
      frames.goawayFrame(0),
    ];
    for (let connection = 0; connection < 20; connection++) {
      const said = Array.from({ length: 2500 }, (_, i) =>
        // The first ones as they should be, so that some get through.
        i < connection ? (sensible[i % 3] as Buffer) : mutate(random.pick(sensible), random),
      );
      await using server = await say([settings, ...said], 'end');
      using client = await open(server.port);
      await Promise.race([client.closed, client.call(Buffer.alloc(10))]);
    }
  });
});
