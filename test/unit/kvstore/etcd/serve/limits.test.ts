import { randomBytes } from 'node:crypto';
import { constants } from 'node:http2';
import { Agent, request as httpsRequest } from 'node:https';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import type { Engine } from '../../../../../kvstore/contract/index.ts';
import { encodeFrame, methods } from '../../../../../kvstore/etcd/wire/index.ts';
import { createMetrics } from '../../../../../runtime/metrics/index.ts';
import { changed } from '../../../../support/changed-engine.ts';
import { RawEtcd } from '../../../../support/raw-etcd.ts';
import {
  RudeClient,
  beginCall,
  callHeaders,
  frame,
  frameFlag,
  frameType,
  headerBlock,
  wholeCall,
} from '../../../../support/raw-frames.ts';
import { until } from '../../../../support/until.ts';
import { Told, of, openRig, put } from './rig.ts';
import { everything, mebibyte, metric, othersAreUnhurt, putOf, repeated, withUsers } from './bad-client.ts';

describe('a bad client', () => {
  test('that opens 10,000 streams has as many as it may, and the rest refused', async () => {
    const metrics = createMetrics({ prefix: 'isthmus_' });
    await using rig = await openRig({ metrics, limits: { maxStreams: 500 } });
    await using rude = new RudeClient(rig.port);
    const create = encodeFrame(methods.watch.request, { create: { key: of('k') } });
    for (let stream = 1; stream < 20_000; stream += 2)
      await rude.write(
        Buffer.concat([beginCall(stream, methods.watch.path), frame(frameType.data, 0, stream, create)]),
      );
    await othersAreUnhurt(rig);
    expect(await metric(metrics, 'watchers')).toBeLessThanOrEqual(500);
  });

  test('that resets 100,000 calls loses its connection long before it is through', async () => {
    await using rig = await openRig({ limits: { resets: { burst: 2000, perSecond: 1 } } });
    for (let i = 0; i < 20; i += 1) await rig.engine.put({ key: of(`k${i}`), value: new Uint8Array(20_000) });
    await using rude = new RudeClient(rig.port);
    const cancel = Buffer.from([0, 0, 0, 8]);
    let tried = 0;
    for (let i = 0; i < 1000 && !rude.socket.destroyed; i += 1) {
      const calls: Buffer[] = [];
      for (let n = 0; n < 100; n += 1) {
        const stream = 1 + 2 * tried++;
        calls.push(wholeCall(stream, methods.range.path, everything), frame(frameType.reset, 0, stream, cancel));
      }
      await rude.write(Buffer.concat(calls));
      await turn();
    }
    await rude.closed;
    expect(tried).toBeLessThan(100_000);
    await othersAreUnhurt(rig);
  });

  test('that gives up a few thousand calls at once is no attacker', async () => {
    await using rig = await openRig();
    for (let round = 0; round < 3; round += 1) {
      const streams = Array.from({ length: 1000 }, () => rig.client.open(methods.watch.path));
      for (const stream of streams) stream.on('error', () => undefined).close(8);
      await Promise.all(streams.map((stream) => new Promise((resolve) => stream.once('close', resolve))));
    }
    expect(await put(rig, 'a', '1')).toBe(2);
  });

  test('that sends much and never ends it is refused beyond what a connection may have under way', async () => {
    await using rig = await openRig({ limits: { maxRequestBytes: 4 * mebibyte } });
    const body = putOf('a', new Uint8Array(mebibyte));
    const streams = Array.from({ length: 8 }, () => rig.client.open(methods.put.path));
    const codes = streams.map(async (stream) => {
      const headers = await new Promise<Record<string, unknown>>((resolve) => stream.once('response', resolve));
      return headers['grpc-status'];
    });
    for (const stream of streams) stream.write(body.subarray(0, -1));
    expect(await Promise.race(codes)).toBe('8');
    for (const stream of streams) stream.on('error', () => undefined).close();
    await othersAreUnhurt(rig);
    // What was under way is forgotten with its streams.
    expect(await put(rig, 'b', 'x'.repeat(mebibyte))).toBeGreaterThan(1);
  });

  test('that begins requests on many connections and ends none loses one of those, and who ends them none', async () => {
    await withUsers({ limits: { maxRequestBytesTotal: 5 * mebibyte } }, async ({ port, as }) => {
      const begun = (client: RawEtcd, bytes: number): ReturnType<RawEtcd['open']> => {
        const stream = client.open(methods.put.path);
        stream.on('error', () => undefined).resume();
        stream.write(putOf('a', new Uint8Array(bytes)).subarray(0, -1));
        return stream;
      };
      await using client = new RawEtcd(port, as('root'));
      const honest = begun(client, 1.4 * mebibyte);
      const many = Array.from({ length: 4 }, () => new RawEtcd(port, as('other')));
      for (const one of many) begun(one, mebibyte);
      const left = (): readonly RawEtcd[] => many.filter(({ session }) => !session.destroyed);
      await until(() => left().length < many.length);
      const code = new Promise((resolve) => honest.once('trailers', (headers) => resolve(headers['grpc-status'])));
      honest.end(new Uint8Array(1));
      expect(await code).toBe('0');
      expect(left()).toHaveLength(3);
      await Promise.all(many.map((one) => one[Symbol.asyncDispose]()));
    });
  });

  test('that goes on after its only message is not listened to', async () => {
    await using rig = await openRig();
    const stream = rig.client.open(methods.put.path);
    const message = putOf('a', of('1'));
    stream.on('error', () => undefined).resume();
    stream.write(Buffer.concat([message, message, message]));
    await new Promise((resolve) => stream.once('close', resolve));
    expect(rig.engine.revision).toBe(2);
    await othersAreUnhurt(rig);
  });

  test('that makes too many watches has them refused, in etcd’s words', async () => {
    await using rig = await openRig({ limits: { maxWatches: 3 } });
    const told = new Told(rig.client);
    const more = new Told(rig.client);
    for (let i = 0; i < 4; i += 1) told.watch.send({ create: { key: of('a') } });
    expect((await told.until(4))[3]).toBe('watch -1 r1, created, canceled, etcdserver: too many requests');
    more.watch.send({ create: { key: of('a') } });
    expect((await more.until(1))[0]).toContain('too many requests');
    told.watch.send({ cancel: { watchId: 1n } });
    await told.until(5);
    more.watch.send({ create: { key: of('a') } });
    expect((await more.until(2))[1]).toBe('watch 0 r1, created');
  });

  test.each([
    { what: 'operations', path: methods.txn.path, part: [0x12, 0], before: [] },
    { what: 'comparisons', path: methods.txn.path, part: [0x0a, 0], before: [] },
    // A create request whose length is that of what follows.
    { what: 'filters of a watch', path: methods.watch.path, part: [0x28, 0], before: [0x0a, 0x80, 0x89, 0x7a] },
  ])('that sends $what without number is refused before they are all decoded', async ({ path, part, before }) => {
    await using rig = await openRig();
    const message = Buffer.concat([Buffer.from(before), Buffer.alloc(2_000_000, Buffer.from(part))]);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(message.length, 1);
    expect(await rig.client.bytes(path, Buffer.concat([head, message]))).toMatchObject({
      code: 3,
      message: 'etcdserver: too many operations in txn request',
    });
    await othersAreUnhurt(rig);
  });

  test('that watches keys which nobody can have is refused, since a watch holds its key', async () => {
    await using rig = await openRig();
    const told = new Told(rig.client);
    const long = new Uint8Array(4097).fill(97);
    told.watch.send({ create: { key: long } });
    told.watch.send({ create: { key: of('a'), rangeEnd: long.fill(98) } });
    told.watch.send({ create: { key: long.subarray(1) } });
    expect(await told.until(3)).toEqual([
      'watch -1 r1, created, canceled, etcdserver: request is too large',
      'watch -1 r1, created, canceled, etcdserver: request is too large',
      'watch 0 r1, created',
    ]);
  });

  test.each([
    { what: 'garbage', bytes: () => randomBytes(100_000), closes: true },
    {
      what: 'headers without an end',
      bytes: () =>
        Buffer.concat([
          frame(frameType.headers, 0, 1, callHeaders(methods.range.path)),
          ...Array.from({ length: 3000 }, () =>
            frame(frameType.continuation, 0, 1, headerBlock({ x: 'y'.repeat(90) })),
          ),
        ]),
      closes: true,
    },
    {
      what: 'a field without an end',
      bytes: () =>
        Buffer.concat([
          frame(frameType.headers, 0, 1, Buffer.from([0, 1, 120, 0x7f, 0xff, 0xff, 0xff, 0x07])),
          ...Array.from({ length: 100 }, () => frame(frameType.continuation, 0, 1, Buffer.alloc(16_384, 121))),
        ]),
      closes: true,
    },
    { what: 'a frame that is too long', bytes: () => frame(frameType.data, 0, 1, Buffer.alloc(100_000)), closes: true },
    { what: 'settings without an end', bytes: () => repeated(frame(frameType.settings, 0, 0), 30_000), closes: false },
    {
      what: 'pings without an end',
      bytes: () => repeated(frame(frameType.ping, 0, 0, Buffer.alloc(8)), 30_000),
      closes: false,
    },
    {
      what: 'empty frames without an end',
      bytes: () => Buffer.concat([beginCall(1, methods.put.path), repeated(frame(frameType.data, 0, 1), 30_000)]),
      closes: false,
    },
    {
      what: 'a stream that was never opened',
      bytes: () => frame(frameType.data, frameFlag.endStream, 5, Buffer.from('x')),
      closes: true,
    },
  ])('that sends $what does no harm', async ({ bytes, closes }) => {
    await using rig = await openRig();
    await using rude = new RudeClient(rig.port, { reads: closes });
    void rude.write(bytes());
    if (closes) await rude.closed;
    await othersAreUnhurt(rig);
    expect(rig.engine.revision).toBe(2);
  });

  test('with too long a header has that call refused, and no other', async () => {
    await using rig = await openRig();
    await using rude = new RudeClient(rig.port);
    let answered = Buffer.alloc(0);
    rude.socket.on('data', (chunk: Buffer) => (answered = Buffer.concat([answered, chunk])));
    const long = Buffer.concat([callHeaders(methods.put.path), repeated(headerBlock({ x: 'y'.repeat(90) }), 300)]);
    const rest = frame(frameType.continuation, frameFlag.endHeaders, 1, long.subarray(16_000));
    await rude.write(Buffer.concat([frame(frameType.headers, 0, 1, long.subarray(0, 16_000)), rest]));
    await rude.write(wholeCall(3, methods.put.path, putOf('a', of('1'))));
    const enhanceYourCalm = Buffer.from([0, 0, 0, constants.NGHTTP2_ENHANCE_YOUR_CALM]);
    await until(() => answered.includes(frame(frameType.reset, 0, 1, enhanceYourCalm)));
    await until(() => rig.engine.revision === 2);
    await othersAreUnhurt(rig);
  });

  test('that asks for more than an answer may hold is refused, alone and in a transaction', async () => {
    await using rig = await openRig({ limits: { maxAnswerBytes: 3 * mebibyte } });
    for (let i = 0; i < 4; i += 1) await rig.engine.put({ key: of(`k${i}`), value: new Uint8Array(mebibyte) });
    const large = { key: of('k'), rangeEnd: of('l') };
    const message = expect.stringMatching(/^grpc: trying to send message larger than max \(\d+ vs\. 3145728\)$/);
    expect(await rig.client.call(methods.range, large)).toMatchObject({ code: 8, message });
    const half = { range: { key: of('k2'), rangeEnd: of('l') } };
    const txn = (count: number) =>
      rig.client.call(methods.txn, { success: [{ txn: { success: Array.from({ length: count }, () => half) } }] });
    expect(await txn(2)).toMatchObject({ code: 8, message });
    expect((await txn(1)).code).toBe(0);
    expect((await rig.client.call(methods.range, { ...large, limit: 1 })).response?.count).toBe(4);
    // One key again and again, for a request of a few bytes each.
    const single = { range: { key: of('k2') } };
    const again = (count: number) =>
      rig.client.call(methods.txn, { success: [{ txn: { success: Array.from({ length: count }, () => single) } }] });
    expect(await again(4)).toMatchObject({ code: 8, message });
    const [nested] = (await again(2)).response?.responses ?? [];
    expect(nested?.txn?.responses.map(({ range }) => range?.kvs[0]?.value.length)).toEqual([mebibyte, mebibyte]);
    await othersAreUnhurt(rig);
  });

  test('that wants to be shown more than an answer may hold of what it deletes or overwrites is refused, and nothing is', async () => {
    await using rig = await openRig({ limits: { maxAnswerBytes: 3 * mebibyte } });
    for (let i = 0; i < 4; i += 1) await rig.engine.put({ key: of(`k${i}`), value: new Uint8Array(mebibyte) });
    const { revision } = rig.engine;
    const message = expect.stringMatching(/^grpc: trying to send message larger than max \(\d+ vs\. 3145728\)$/);
    const all = { key: of('k'), rangeEnd: of('l'), prevKv: true };
    expect(await rig.client.call(methods.deleteRange, all)).toMatchObject({ code: 8, message });
    const first = { put: { key: of('a'), value: of('1') } };
    const inside = await rig.client.call(methods.txn, {
      success: [first, { txn: { success: [{ deleteRange: all }] } }],
    });
    expect(inside).toMatchObject({ code: 8, message });
    const over = Array.from({ length: 4 }, (_, i) => ({ put: { key: of(`k${i}`), prevKv: true } }));
    expect(await rig.client.call(methods.txn, { success: [first, ...over] })).toMatchObject({ code: 8, message });
    expect(rig.engine.revision).toBe(revision);
    const half = await rig.client.call(methods.deleteRange, { ...all, key: of('k2') });
    expect(half.response?.prevKvs.map(({ value }) => value.length)).toEqual([mebibyte, mebibyte]);
    expect((await rig.client.call(methods.deleteRange, { ...all, prevKv: false })).response?.deleted).toBe(2);
    await othersAreUnhurt(rig);
  });

  test.each([
    {
      what: 'reads many single keys',
      txn: { success: Array.from({ length: 17 }, () => ({ range: { key: of('k') } })) },
    },
    { what: 'compares many', txn: { compare: Array.from({ length: 17 }, () => ({ key: of('k') })) } },
    { what: 'nests others', txn: { success: [{ txn: { success: [{ range: { key: of('k') } }] } }] } },
  ])('that sends many transactions, each of which $what, has a few of them made at a time', async ({ txn }) => {
    const gate = Promise.withResolvers<void>();
    let running = 0;
    const wrap = (engine: Engine): Engine =>
      changed(engine, {
        txn: async (request, reader) => {
          running += 1;
          await gate.promise;
          return await engine.txn(request, reader);
        },
      });
    await using rig = await openRig({ wrap });
    const all = Array.from({ length: 20 }, () => rig.client.call(methods.txn, txn));
    // What came behind them is answered when they have been looked at.
    expect((await rig.client.call(methods.range, { key: of('k') })).code).toBe(0);
    expect(running).toBe(4);
    gate.resolve();
    expect((await Promise.all(all)).map(({ code }) => code)).toEqual(all.map(() => 0));
  });

  test('that is a user has so many connections and watches, over all of them', async () => {
    const limits = { maxConnectionsPerUser: 2, maxWatchesPerUser: 3 };
    await withUsers({ limits }, async ({ port, as }) => {
      await using client = new RawEtcd(port, as('root'));
      const first = new Told(client);
      await using another = new RawEtcd(port, as('root'));
      const second = new Told(another);
      for (let i = 0; i < 2; i += 1) first.watch.send({ create: { key: of('a') } });
      await first.until(2);
      for (let i = 0; i < 2; i += 1) second.watch.send({ create: { key: of('a') } });
      expect((await second.until(2))[1]).toContain('too many requests');
      await using third = new RawEtcd(port, as('root'));
      expect((await third.call(methods.range, { key: of('a') })).code).toBe(-1);
      await using other = new RawEtcd(port, as('other'));
      expect((await other.call(methods.range, { key: of('a') })).code).toBe(0);
      // Whoever is nobody takes no more than one user could, under whatever names it comes.
      await using nobody = new RawEtcd(port, as('mallory'));
      await using nobodyElse = new RawEtcd(port, as('trudy'));
      for (const one of [nobody, nobodyElse]) expect((await one.call(methods.range, { key: of('a') })).code).toBe(7);
      await using tooMany = new RawEtcd(port, as('eve'));
      expect((await tooMany.call(methods.range, { key: of('a') })).code).toBe(-1);
      expect((await other.call(methods.range, { key: of('a') })).code).toBe(0);
      await another[Symbol.asyncDispose]();
      await until(async () => {
        await using again = new RawEtcd(port, as('root'));
        return (await again.call(methods.range, { key: of('a') })).code === 0;
      });
    });
  });

  test('that speaks HTTP/1.1 has no more connections than one that speaks HTTP/2', async () => {
    await withUsers({ limits: { maxConnectionsPerUser: 2 } }, async ({ port, as }) => {
      const agents: Agent[] = [];
      const version = (name: string): Promise<number> => {
        const agent = new Agent({ keepAlive: true, ...as(name).tls });
        agents.push(agent);
        return new Promise((resolve) => {
          const request = httpsRequest({ host: '127.0.0.1', port, path: '/version', agent }, (answer) => {
            answer.resume().once('end', () => resolve(answer.statusCode ?? 0));
          });
          request.once('error', () => resolve(-1)).end();
        });
      };
      expect([await version('other'), await version('other'), await version('other')]).toEqual([200, 200, -1]);
      await using same = new RawEtcd(port, as('other'));
      expect((await same.call(methods.range, { key: of('a') })).code).toBe(-1);
      expect([await version('mallory'), await version('trudy'), await version('eve')]).toEqual([200, 200, -1]);
      expect(await version('root')).toBe(200);
      for (const agent of agents) agent.destroy();
      await until(async () => (await version('other')) === 200);
      for (const agent of agents) agent.destroy();
    });
  });
});
