import { describe, expect, test } from '@jest/globals';
import type { Engine } from '../../../../../kvstore/contract/index.ts';
import { encodeFrame, methods } from '../../../../../kvstore/etcd/wire/index.ts';
import { createMetrics } from '../../../../../runtime/metrics/index.ts';
import { changed } from '../../../../support/changed-engine.ts';
import { RawEtcd } from '../../../../support/raw-etcd.ts';
import { RudeClient, beginCall, frame, frameType, wholeCall } from '../../../../support/raw-frames.ts';
import { until } from '../../../../support/until.ts';
import { of, openRig, put, textOf } from './rig.ts';
import { everything, mebibyte, metric, othersAreUnhurt, rangeOf, withUsers } from './bad-client.ts';

describe('a bad client, by what it does not read,', () => {
  test('that never reads gets a few answers made, and is then refused', async () => {
    const metrics = createMetrics({ prefix: 'isthmus_' });
    const limits = { maxUnsentPerConnection: 8 * mebibyte };
    await using rig = await openRig({ metrics, limits });
    for (let i = 0; i < 4; i += 1) await rig.engine.put({ key: of(`k${i}`), value: new Uint8Array(mebibyte) });
    await using rude = new RudeClient(rig.port, { reads: false });
    for (let stream = 1; stream < 1000; stream += 2)
      await rude.write(wholeCall(stream, methods.range.path, everything));
    await until(async () => (await metric(metrics, 'unsent_bytes')) > 8 * mebibyte);
    await othersAreUnhurt(rig);
    // Beyond the limit there are the answers of the few reads that were under way.
    expect(await metric(metrics, 'unsent_bytes')).toBeLessThan(8 * mebibyte + 5 * 4 * mebibyte);
    expect(rude.socket.destroyed).toBe(false);
  });

  test('that never reads its watches is cut off when they have piled up on many streams', async () => {
    const metrics = createMetrics({ prefix: 'isthmus_' });
    const limits = { maxUnsentPerConnection: 16 * mebibyte };
    await using rig = await openRig({ metrics, limits });
    for (let i = 0; i < 4; i += 1) await rig.engine.put({ key: of(`k${i}`), value: new Uint8Array(mebibyte) });
    await using rude = new RudeClient(rig.port, { reads: false });
    const create = encodeFrame(methods.watch.request, {
      create: { key: of('k'), rangeEnd: of('l'), startRevision: 2 },
    });
    for (let stream = 1; stream < 200; stream += 2)
      await rude.write(
        Buffer.concat([beginCall(stream, methods.watch.path), frame(frameType.data, 0, stream, create)]),
      );
    await until(async () => (await metric(metrics, 'cut_connections_total')) > 0);
    await until(async () => (await metric(metrics, 'watchers')) === 0);
    expect(await metric(metrics, 'unsent_bytes')).toBeLessThan(mebibyte);
    await othersAreUnhurt(rig);
  });

  test('is the one that is cut off when all together do not read', async () => {
    const metrics = createMetrics({ prefix: 'isthmus_' });
    await using rig = await openRig({ metrics, limits: { maxUnsentTotal: 24 * mebibyte } });
    for (let i = 0; i < 4; i += 1) await rig.engine.put({ key: of(`k${i}`), value: new Uint8Array(mebibyte) });
    await using modest = new RudeClient(rig.port, { reads: false });
    await modest.write(wholeCall(1, methods.range.path, rangeOf('k0', 'k1')));
    await using rude = new RudeClient(rig.port, { reads: false });
    for (let stream = 1; stream < 200; stream += 2) await rude.write(wholeCall(stream, methods.range.path, everything));
    await othersAreUnhurt(rig);
    await until(async () => (await metric(metrics, 'cut_connections_total')) > 0);
    expect(await metric(metrics, 'unsent_bytes')).toBeLessThan(24 * mebibyte);
    expect(modest.socket.destroyed).toBe(false);
  });

  test('that reads no answers on many connections loses one of those, and not another user who has more on one', async () => {
    let engine: Engine | undefined;
    const wrap = (one: Engine): Engine => (engine = one);
    await withUsers({ wrap, limits: { maxUnsentTotal: 12 * mebibyte } }, async ({ port, as }) => {
      for (let i = 0; i < 4; i += 1) await engine?.put({ key: of(`k${i}`), value: new Uint8Array(mebibyte) });
      const asked = (client: RawEtcd, count: number): void => {
        const stream = client.open(methods.range.path);
        stream.on('error', () => undefined);
        stream.end(rangeOf('k0', `k${count}`));
      };
      await using client = new RawEtcd(port, { ...as('root'), windowBytes: 1000 });
      asked(client, 3);
      const many = Array.from({ length: 6 }, () => new RawEtcd(port, { ...as('other'), windowBytes: 1000 }));
      for (const one of many) asked(one, 2);
      await until(() => many.some(({ session }) => session.destroyed));
      expect(client.session.destroyed).toBe(false);
      await Promise.all(many.map((one) => one[Symbol.asyncDispose]()));
    });
  });

  test('that takes no small message is counted with what each of them makes us hold', async () => {
    const metrics = createMetrics({ prefix: 'isthmus_' });
    await using rig = await openRig({ metrics });
    await using rude = new RudeClient(rig.port, { windowBytes: 0 });
    const create = encodeFrame(methods.watch.request, { create: { key: of('k') } });
    await rude.write(Buffer.concat([beginCall(1, methods.watch.path), frame(frameType.data, 0, 1, create)]));
    await until(async () => (await metric(metrics, 'watchers')) === 1);
    for (let i = 0; i < 1000; i += 1) await put(rig, 'k', '1');
    await until(async () => (await metric(metrics, 'unsent_bytes')) > 350 * 1000);
    for (let stream = 3; stream < 203; stream += 2)
      await rude.write(wholeCall(stream, methods.range.path, rangeOf('a', 'b')));
    await until(async () => (await metric(metrics, 'unsent_bytes')) > 350 * 1000 + 100 * 8000);
  });

  test('that sends on and on without reading has those calls broken off, and no other', async () => {
    await using rig = await openRig({ limits: { maxUnsentBytes: 16, maxRequestBytes: 4 * mebibyte } });
    await using rude = new RudeClient(rig.port, { windowBytes: 0 });
    const came: Buffer[] = [];
    rude.socket.on('data', (bytes: Buffer) => came.push(bytes));
    const refused = encodeFrame(methods.watch.request, { create: { key: of('k'), rangeEnd: of('a') } });
    const many = Buffer.concat(Array.from({ length: 1000 }, () => refused)).subarray(0, 16_000);
    const streams = Array.from({ length: 10 }, (_, i) => 2 * i + 1);
    for (const stream of streams)
      await rude.write(
        Buffer.concat([beginCall(stream, methods.watch.path), frame(frameType.data, 0, stream, refused)]),
      );
    // Nothing is read any more, since the answers wait; each may still send what its window holds.
    for (let i = 0; i < 60; i += 1)
      for (const stream of streams) await rude.write(frame(frameType.data, 0, stream, many));
    const calm = (stream: number): Buffer => frame(frameType.reset, 0, stream, Buffer.from([0, 0, 0, 0xb]));
    await until(() => streams.some((stream) => Buffer.concat(came).includes(calm(stream))));
    expect(rude.socket.destroyed).toBe(false);
    await othersAreUnhurt(rig);
  });

  test('that reads much over many connections leaves others a place', async () => {
    const gate = Promise.withResolvers<void>();
    const wrap = (engine: Engine): Engine =>
      changed(engine, {
        range: async (request, reader) => {
          if (request.rangeEnd && textOf(request.key) === 'slow') await gate.promise;
          return await engine.range(request, reader);
        },
      });
    await withUsers({ wrap }, async ({ port, as }) => {
      const many = Array.from({ length: 10 }, () => new RawEtcd(port, as('root')));
      const slow = many.flatMap((client) =>
        Array.from({ length: 8 }, () => client.call(methods.range, { key: of('slow'), rangeEnd: of('t') })),
      );
      await using other = new RawEtcd(port, as('other'));
      // 80 of the 32 places are wanted by one user.
      expect((await other.call(methods.range, { key: of('a'), rangeEnd: of('b') })).code).toBe(0);
      gate.resolve();
      expect((await Promise.all(slow)).map(({ code }) => code)).toEqual(slow.map(() => 0));
      await Promise.all(many.map((client) => client[Symbol.asyncDispose]()));
    });
  });
});
