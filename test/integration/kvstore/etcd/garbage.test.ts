import { connect } from 'node:http2';
import { type AddressInfo, type Socket, createServer } from 'node:net';
import { describe, expect, jest, test } from '@jest/globals';
import { type EtcdStore, KvStoreError, toBytes } from '../../../../kvstore/index.ts';
import { encodeFrame, methods } from '../../../../kvstore/etcd/wire/index.ts';
import { type FakeAnswer, type FakeCall, startFakeEtcd } from '../../../support/fake-etcd.ts';
import { mutate } from '../../../support/mutate.ts';
import { Random } from '../../../../runtime/random/index.ts';
import { startTcpProxy } from '../../../support/tcp-proxy.ts';
import { Mirror, writeMany } from './mirror.ts';
import { clientOf, embeddedSubject } from './subjects.ts';

jest.setTimeout(120_000);

const prefix = 'cilium/state/ip/v1/';
const header = { clusterId: 7n, memberId: 8n, revision: 41, raftTerm: 3n };
const megabyte = 1 << 20;

const kv = (i: number, key = `${prefix}${String(i).padStart(9, '0')}`) => ({
  key: toBytes(key),
  value: toBytes('v'),
  createRevision: 1,
  modRevision: 40,
  version: 1,
  lease: 0n,
});

/** A frame that says that 4 GiB follow. */
const endless = Buffer.from([0, 0xff, 0xff, 0xff, 0xff]);
const kib = (text: string): Buffer => Buffer.alloc(16_384, text);

/** Where the client does not succeed by chance, it is by an error of the contract and nothing else. */
async function refused(attempt: Promise<unknown>): Promise<void> {
  try {
    await attempt;
  } catch (error) {
    expect(error).toBeInstanceOf(KvStoreError);
  }
}

async function listAll(store: EtcdStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of store.list(prefix)) keys.push(...page.entries.map(({ key }) => Buffer.from(key).toString()));
  return keys;
}

/** Follows the prefix for a while; tells what it was told. */
async function followFor(
  store: EtcdStore,
  ms: number,
): Promise<{ readonly synced: boolean; readonly failed: unknown }> {
  const signal = AbortSignal.timeout(ms);
  let synced = false;
  try {
    for await (const batch of store.listAndWatch(prefix, { signal })) synced ||= batch.type === 'synced';
    return { synced, failed: undefined };
  } catch (error) {
    return { synced, failed: error };
  }
}

/** How much more is held than before, in MiB. */
function memoryOf(): number {
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return (heapUsed + external + arrayBuffers) / megabyte;
}

/** A window of 16 MiB for each call, twice over (its server lives in this process), and 64 MiB for a field. */
const mostAllowed = 320;

/** How much more than before was held at any time of `run`, in MiB. */
async function mostHeld(run: (held: () => number) => Promise<void>): Promise<number> {
  const before = memoryOf();
  let most = 0;
  const held = (): number => (most = Math.max(most, memoryOf() - before));
  const watching = setInterval(held, 20);
  try {
    await run(held);
  } finally {
    clearInterval(watching);
  }
  return held();
}

const floods: readonly { readonly what: string; readonly answer: FakeAnswer }[] = [
  {
    what: 'a message without end',
    answer: ({ respond, stream, flood }) => {
      respond();
      stream.write(endless);
      flood(() => kib('x'));
    },
  },
  {
    what: 'messages without end',
    answer: ({ respond, flood }) => {
      respond();
      const frames = Buffer.alloc(5 * 3000);
      flood(() => frames);
    },
  },
  {
    what: 'one field without end',
    answer: ({ respond, stream, flood }) => {
      respond();
      // Field 2 (a key with its value), 2 GiB long.
      stream.write(Buffer.concat([endless, Buffer.from([0x12, 0xff, 0xff, 0xff, 0xff, 0x07])]));
      flood(() => kib('k'));
    },
  },
  {
    what: 'unknown fields without end',
    answer: ({ respond, stream, flood }) => {
      respond();
      stream.write(endless);
      flood(() => Buffer.alloc(16_384, Buffer.from([0x7a, 2, 1, 1])));
    },
  },
  {
    what: 'entries without end, and no header',
    answer: ({ respond, stream, flood }) => {
      respond();
      stream.write(endless);
      flood(() => encodeFrame(methods.range.response, { kvs: [kv(1)] }).subarray(5));
    },
  },
  {
    what: 'more entries than were asked for',
    answer: ({ respond, stream, flood }) => {
      respond();
      stream.write(Buffer.concat([endless, encodeFrame(methods.range.response, { header }).subarray(5)]));
      let i = 0;
      flood(() => encodeFrame(methods.range.response, { kvs: Array.from({ length: 50 }, () => kv(i++)) }).subarray(5));
    },
  },
  {
    what: 'the same page for ever',
    answer: (call) =>
      answerWith(call, encodeFrame(methods.range.response, { header, kvs: [kv(1), kv(2)], more: true, count: 99 })),
  },
  {
    what: 'empty pages for ever',
    answer: (call) => answerWith(call, encodeFrame(methods.range.response, { header, more: true, count: 99 })),
  },
  {
    what: 'a number longer than any',
    answer: ({ respond, stream, flood }) => {
      respond();
      stream.write(Buffer.concat([endless, Buffer.from([0x18])]));
      flood(() => Buffer.alloc(16_384, 0x80));
    },
  },
];

function answerWith({ respond, stream, end }: FakeCall, frame: Uint8Array, status = 0, message = ''): void {
  respond();
  if (!stream.destroyed) stream.write(frame);
  end(status, message);
}

const goodFrames: Readonly<Record<string, () => Buffer>> = {
  [methods.range.path]: () =>
    encodeFrame(methods.range.response, { header, kvs: [kv(1), kv(2), kv(3)], count: 3, more: false }),
  [methods.put.path]: () => encodeFrame(methods.put.response, { header }),
  [methods.txn.path]: () => encodeFrame(methods.txn.response, { header, succeeded: true, responses: [{ put: {} }] }),
  [methods.leaseGrant.path]: () => encodeFrame(methods.leaseGrant.response, { header, id: 5n, ttl: 60 }),
  [methods.watch.path]: () =>
    Buffer.concat([
      encodeFrame(methods.watch.response, { header, created: true }),
      encodeFrame(methods.watch.response, { header, events: [{ type: 'put', kv: { ...kv(4), modRevision: 42 } }] }),
    ]),
};

describe('a server that speaks HTTP/2 and nothing else that makes sense', () => {
  test.each(floods)('is not listened to for ever: $what', async ({ answer }) => {
    await using fake = await startFakeEtcd(answer);
    await using store = clientOf({ host: '127.0.0.1', port: fake.port }, { callTimeoutMs: 3000 });
    const most = await mostHeld(async () => {
      await refused(store.get('a'));
      await refused(listAll(store));
      const { synced, failed } = await followFor(store, 600);
      expect({ synced, failed }).toEqual({ synced: false, failed: undefined });
    });
    expect(most).toBeLessThan(mostAllowed);
  });

  test('would be seen to be listened to for ever', async () => {
    const [, { answer } = { answer: () => undefined }] = floods;
    await using fake = await startFakeEtcd(answer);
    const session = connect(`http://127.0.0.1:${fake.port}`, { settings: { initialWindowSize: 64 * megabyte } });
    const kept: Buffer[] = [];
    const most = await mostHeld(async (held) => {
      const stream = session.request({ ':method': 'POST', ':path': methods.range.path });
      stream.on('error', () => undefined).end();
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        kept.push(chunk);
        if (held() > mostAllowed) break;
      }
      session.destroy();
    });
    expect(kept.length).toBeGreaterThan(0);
    expect(most).toBeGreaterThan(mostAllowed);
  });

  test('is not believed a listing that lacks some of what it says there is', async () => {
    const lacking = encodeFrame(methods.range.response, { header, kvs: [kv(1)], count: 2 });
    await using fake = await startFakeEtcd((call) => answerWith(call, lacking));
    await using store = clientOf({ host: '127.0.0.1', port: fake.port }, { callTimeoutMs: 1000 });
    await expect(listAll(store)).rejects.toThrow('the last page has 1 entries of 2');
    expect(await followFor(store, 500)).toEqual({ synced: false, failed: undefined });
  });

  test('gets nothing but errors of the contract out of the client, and a good server then has it as new', async () => {
    const random = new Random(7);
    const answer: FakeAnswer = (call) => {
      const good = goodFrames[call.path]?.() ?? Buffer.alloc(5);
      const { stream } = call;
      switch (random.int(8)) {
        case 0:
          return answerWith(call, mutate(good, random));
        case 1:
          return answerWith(call, good.subarray(0, random.int(good.length)));
        case 2:
          // Only such as may pass: a refusal would end the mirror, as it should.
          return answerWith(
            call,
            good,
            random.pick([1, 2, 13, 14, 15, 99, -3]),
            random.pick(['', '%', '%zz%41', 'etcdserver: x']),
          );
        case 3:
          call.respond();
          stream.write(good);
          return stream.close(random.int(14));
        case 4:
          stream.respond({ ':status': random.pick([204, 301, 404, 500]) }, { endStream: true });
          return undefined;
        case 5:
          stream.respond({ ':status': 200, 'grpc-status': random.pick(['x', '0', '13', '']) }, { endStream: true });
          return undefined;
        case 6:
          stream.session?.destroy();
          return undefined;
        default:
          return answerWith(call, Buffer.concat([good, mutate(good, random)]));
      }
    };
    await using fake = await startFakeEtcd(answer);
    await using subject = await embeddedSubject();
    await using direct = clientOf(subject);
    await using proxy = await startTcpProxy({ host: '127.0.0.1', port: fake.port });
    await using store = clientOf({ host: '127.0.0.1', port: proxy.port }, { callTimeoutMs: 400 });
    await using mirror = new Mirror(store, prefix);
    for (let round = 0; round < 25; round++) {
      await refused(Promise.all([store.get('a'), store.put('a', '1'), listAll(store)]));
      await refused(store.transact({ when: [], then: [{ type: 'put', key: 'a', value: 'b' }] }));
      await refused(store.grantLease({ ttlSeconds: 60 }).then((lease) => lease[Symbol.asyncDispose]()));
    }
    expect(fake.calls).toBeGreaterThan(100);
    expect(mirror.error).toBeUndefined();
    await writeMany(direct, `${prefix}stable/`, 20);
    proxy.redirect({ host: subject.host, port: subject.port });
    proxy.cut();
    await mirror.agreesWith(direct, prefix);
  });
});

describe('a server that does not even speak HTTP/2', () => {
  test('is given up each time, and a good server then has the client as new', async () => {
    const random = new Random(11);
    const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined).resume();
      const noise = Buffer.from(Array.from({ length: random.int(300) }, () => random.int(256)));
      const said = random.pick([
        noise,
        Buffer.concat([settings, noise]),
        Buffer.concat([settings, mutate(settings, random), noise]),
        // A GOAWAY, a RST of a stream that nobody opened, HTTP/1.1.
        Buffer.concat([settings, Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2])]),
        Buffer.concat([settings, Buffer.from([0, 0, 4, 3, 0, 0, 0, 0, 99, 0, 0, 0, 1])]),
        Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
      ]);
      socket.write(said);
      if (random.chance(0.5)) socket.end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    await using subject = await embeddedSubject();
    await using direct = clientOf(subject);
    await using proxy = await startTcpProxy({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
    const patience = {
      callTimeoutMs: 200,
      dialTimeoutMs: 100,
      pingIntervalMs: 200,
      pingTimeoutMs: 100,
      random: () => 0.99,
    };
    await using store = clientOf({ host: '127.0.0.1', port: proxy.port }, patience);
    await using mirror = new Mirror(store, prefix);
    for (let round = 0; round < 15; round++) await refused(store.get('a'));
    expect(mirror.error).toBeUndefined();
    await writeMany(direct, `${prefix}stable/`, 20);
    proxy.redirect({ host: subject.host, port: subject.port });
    proxy.cut();
    await mirror.agreesWith(direct, prefix);
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
});
