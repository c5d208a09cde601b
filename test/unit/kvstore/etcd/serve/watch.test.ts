import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { type Engine, EngineError, type EngineWatcher } from '../../../../../kvstore/contract/index.ts';
import { encodeFrame, methods } from '../../../../../kvstore/etcd/wire/index.ts';
import { VirtualClock } from '../../../../../runtime/clock/index.ts';
import { changed } from '../../../../support/changed-engine.ts';
import { until } from '../../../../support/until.ts';
import { Told, of, openRig, put, textOf } from './rig.ts';

describe('a watch stream', () => {
  test('numbers watches from 0, takes ids of the client, and refuses one twice', async () => {
    await using rig = await openRig();
    const told = new Told(rig.client);
    for (const watchId of [0n, 0n, 7n, 7n, 2n, 0n, 0n]) told.watch.send({ create: { key: of('a'), watchId } });
    expect(await told.until(7)).toEqual([
      'watch 0 r1, created',
      'watch 1 r1, created',
      'watch 7 r1, created',
      'watch -1 r1, created, canceled, mvcc: duplicate watch ID provided on the WatchStream',
      'watch 2 r1, created',
      'watch 3 r1, created',
      'watch 4 r1, created',
    ]);
  });

  test('says created before it hands over history, with what was there before', async () => {
    await using rig = await openRig();
    for (const value of ['1', '2']) await put(rig, 'a', value);
    await rig.client.call(methods.deleteRange, { key: of('a') });
    const told = new Told(rig.client);
    told.watch.send({ create: { key: of('a'), startRevision: 2, prevKv: true } });
    expect(await told.until(2)).toEqual([
      'watch 0 r4, created',
      'watch 0 r4, put a=1@2, put a=2@3 before 1, delete a=@4 before 2',
    ]);
  });

  test('gives each watch its own events and honours filters', async () => {
    await using rig = await openRig();
    const told = new Told(rig.client);
    told.watch.send({ create: { key: of('a'), rangeEnd: of('b'), filters: ['no-delete'] } });
    told.watch.send({ create: { key: of('a'), rangeEnd: new Uint8Array([0]), filters: ['no-put'] } });
    await told.until(2);
    await put(rig, 'a', '1');
    await put(rig, 'c', '1');
    await rig.client.call(methods.deleteRange, { key: of('a'), rangeEnd: of('z') });
    const lines = await told.until(4);
    expect(lines.slice(2)).toEqual(['watch 0 r2, put a=1@2', 'watch 1 r4, delete a=@4, delete c=@4']);
  });

  test.each([
    { what: 'an empty range', create: { key: of('b'), rangeEnd: of('a') }, reason: 'mvcc: watcher range is empty' },
    {
      what: 'a negative revision',
      create: { key: of('b'), startRevision: -1 },
      reason: 'etcdserver: mvcc: required revision has been compacted',
    },
  ])('refuses $what and goes on', async ({ create, reason }) => {
    await using rig = await openRig();
    const told = new Told(rig.client);
    told.watch.send({ create });
    told.watch.send({ create: { key: of('a') } });
    expect(await told.until(2)).toEqual([`watch -1 r1, created, canceled, ${reason}`, 'watch 0 r1, created']);
  });

  test('creates a watch of a compacted revision, then cancels it with the revision to go on from', async () => {
    await using rig = await openRig();
    for (const value of ['1', '2', '3']) await put(rig, 'a', value);
    await rig.client.call(methods.compact, { revision: 4 });
    const told = new Told(rig.client);
    told.watch.send({ create: { key: of('a'), startRevision: 2 } });
    expect(await told.until(2)).toEqual(['watch 0 r4, created', 'watch 0 r0, canceled, compacted 4']);
    // Its id is taken until the client cancels it, as clients do.
    told.watch.send({ cancel: { watchId: 0n } });
    expect((await told.until(3)).at(-1)).toBe('watch 0 r4, canceled');
  });

  test('ends a watch that is cancelled, and says nothing of one that is not there', async () => {
    await using rig = await openRig();
    const told = new Told(rig.client);
    told.watch.send({ create: { key: of('a') } });
    told.watch.send({ cancel: { watchId: 5n } });
    told.watch.send({ cancel: { watchId: 0n } });
    await told.until(2);
    await put(rig, 'a', '1');
    told.watch.send({ create: { key: of('a') } });
    expect(await told.until(3)).toEqual(['watch 0 r1, created', 'watch 0 r1, canceled', 'watch 1 r2, created']);
  });

  test('answers a progress request after every event before it', async () => {
    await using rig = await openRig();
    for (let i = 0; i < 5000; i++) await rig.engine.put({ key: of('a'), value: of(String(i)) });
    const told = new Told(rig.client);
    told.watch.send({ create: { key: of('a'), startRevision: 2 } });
    told.watch.send({ create: { key: of('none'), startRevision: 2 } });
    told.watch.send({ progress: {} });
    await until(() => told.responses.at(-1)?.watchId === -1n);
    expect(told.lines.at(-1)).toBe('watch -1 r5001');
    expect(told.responses.flatMap(({ events }) => events).length).toBe(5000);
  });

  test('does not look at thousands of watches for each progress request, and answers with what is true', async () => {
    const clock = new VirtualClock();
    let looks = 0;
    const wrap = (engine: Engine): Engine =>
      changed(engine, {
        watch: (...args) => {
          const watcher = engine.watch(...args);
          return Object.defineProperty(watcher, 'synced', {
            get: () => {
              looks += 1;
              return Reflect.get(Object.getPrototypeOf(watcher) as object, 'synced', watcher) as boolean;
            },
          });
        },
      });
    await using rig = await openRig({ clock, wrap });
    const told = new Told(rig.client);
    const count = 500;
    for (let i = 0; i < count; i++) told.watch.send({ create: { key: of(`k${i}`) } });
    await told.until(count);
    const answers = (): number => told.lines.filter((line) => line.startsWith('watch -1')).length;
    for (let i = 0; i < 1000; i++) told.watch.send({ progress: {} });
    await until(() => answers() === 1000);
    expect(looks).toBe(count);
    // Each of these watches comes and goes, so that nothing that was found stays true.
    for (let i = 0; i < 300; i++) {
      told.watch.send({ create: { key: of('x'), watchId: 1000n } });
      told.watch.send({ progress: {} });
      told.watch.send({ cancel: { watchId: 1000n } });
    }
    await told.until(count + 1000 + 600);
    expect(looks).toBe(count);
    await put(rig, 'k7');
    await clock.advance(20);
    await until(() => answers() === 1001);
    expect(told.lines.slice(-2)).toEqual(['watch 7 r2, put k7=@2', 'watch -1 r2']);
    expect(looks).toBe(2 * count);
  });

  test('tells silent watches that asked for it how far they are, now and then', async () => {
    const clock = new VirtualClock();
    await using rig = await openRig({ clock, progressIntervalMs: 1000 });
    const told = new Told(rig.client);
    told.watch.send({ create: { key: of('a'), progressNotify: true } });
    told.watch.send({ create: { key: of('b') } });
    await told.until(2);
    await clock.advance(1100);
    expect((await told.until(3)).at(-1)).toBe('watch 0 r1');
    // An event says as much: the next notice is left out.
    await put(rig, 'a', '1');
    await told.until(4);
    await clock.advance(1100);
    await put(rig, 'b', '1');
    await told.until(5);
    await clock.advance(1100);
    expect((await told.until(6)).slice(3)).toEqual(['watch 0 r2, put a=1@2', 'watch 1 r3, put b=1@3', 'watch 0 r3']);
  });

  test('sends fragments below 2 MiB to a watch that asked for them', async () => {
    await using rig = await openRig();
    for (let i = 0; i < 5; i++) await put(rig, `k${i}`, 'x'.repeat(900_000));
    const told = new Told(rig.client);
    told.watch.send({ create: { key: of('k'), rangeEnd: of('l'), prevKv: true, fragment: true } });
    await told.until(1);
    await rig.engine.deleteRange({ key: of('k'), rangeEnd: of('l') });
    await told.until(4);
    expect(told.responses.map(({ fragment, events }) => [fragment, events.length])).toEqual([
      [false, 0],
      [true, 2],
      [true, 2],
      [false, 1],
    ]);
  });

  test('pauses its watchers while the client does not read, and loses nothing by it', async () => {
    let paused = 0;
    let handed = 0;
    const counting = (engine: Engine): Engine =>
      new Proxy(engine, {
        get(target, name) {
          const value: unknown = Reflect.get(target, name, target);
          if (name === 'watch')
            return (...[request, sink]: Parameters<Engine['watch']>): EngineWatcher => {
              const watcher = target.watch(request, {
                compacted: (revision) => sink.compacted(revision),
                failed: (error) => sink.failed(error),
                events: (events, revision) => {
                  handed += events.length;
                  sink.events(events, revision);
                },
              });
              const pause = watcher.pause.bind(watcher);
              watcher.pause = () => {
                paused += 1;
                pause();
              };
              return watcher;
            };
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
    const maxUnsentBytes = 64 * 1024;
    await using rig = await openRig({ limits: { maxUnsentBytes }, wrap: counting }, { windowBytes: 65_535 });
    const told = new Told(rig.client);
    told.watch.send({ create: { key: of('k'), rangeEnd: of('l') } });
    await told.until(1);
    told.watch.stream.pause();
    const value = 'x'.repeat(1000);
    for (let i = 0; i < 2000; i++) await rig.engine.put({ key: of(`k${i}`), value: of(value) });
    // What is on its way: the windows of stream and client, and what may stay unsent.
    expect(paused).toBeGreaterThan(0);
    expect(handed).toBeLessThan(600);
    told.watch.stream.resume();
    await until(() => told.responses.flatMap(({ events }) => events).length >= 2000);
    const keys = told.responses.flatMap(({ events }) => events.map(({ kv }) => textOf(kv?.key)));
    expect(keys).toEqual(Array.from({ length: 2000 }, (_, i) => `k${i}`));
  });

  test('thousands of watches that are asked for at once are not all made in one turn of the event loop', async () => {
    let made = 0;
    const wrap = (engine: Engine): Engine =>
      changed(engine, {
        watch: (request, sink) => {
          made += 1;
          return engine.watch(request, sink);
        },
      });
    await using rig = await openRig({ wrap });
    const told = new Told(rig.client);
    told.watch.send({ create: { key: of('first') } });
    await told.until(1);
    const count = 5000;
    let most = 0;
    let before = made;
    const look = (): void => {
      most = Math.max(most, made - before);
      before = made;
      if (made < count) setImmediate(look);
    };
    setImmediate(look);
    const create = encodeFrame(methods.watch.request, {
      create: { key: of('a key of forty letters, about, of the key') },
    });
    told.watch.stream.write(Buffer.concat(Array.from({ length: count - 1 }, () => create)));
    await told.until(count);
    expect(made).toBe(count);
    // What came in one frame of HTTP/2, which has 16 KiB.
    expect(most).toBeLessThanOrEqual(Math.ceil(16_384 / create.length) + 64);
  });

  test('a client that does not read history of large values holds little of it', async () => {
    const handed = { bytes: 0 };
    const counting = (engine: Engine): Engine =>
      new Proxy(engine, {
        get(target, name) {
          const value: unknown = Reflect.get(target, name, target);
          if (name === 'watch')
            return (...[request, sink]: Parameters<Engine['watch']>): EngineWatcher =>
              target.watch(request, {
                compacted: (revision) => sink.compacted(revision),
                failed: (error) => sink.failed(error),
                events: (events, revision) => {
                  handed.bytes += events.reduce((sum, { kv }) => sum + kv.value.length, 0);
                  sink.events(events, revision);
                },
              });
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
    await using rig = await openRig({ wrap: counting }, { windowBytes: 65_535 });
    for (let i = 0; i < 40; i++) await rig.engine.put({ key: of(`k${i}`), value: new Uint8Array(1_000_000) });
    const told = new Told(rig.client);
    told.watch.send({ create: { key: of('other') } });
    await told.until(1);
    told.watch.stream.pause();
    for (let i = 0; i < 4; i++) told.watch.send({ create: { key: of('k'), rangeEnd: of('l'), startRevision: 2 } });
    // The first slices push the stream back; the others then wait.
    await until(() => handed.bytes > 0);
    for (let i = 0; i < 200; i++) await turn();
    expect(handed.bytes).toBeLessThanOrEqual(6_000_000);
    told.watch.stream.resume();
    await until(() => told.responses.flatMap(({ events }) => events).length >= 160);
  });

  test('cancels a watch whose events cannot be read, with the reason, and goes on with the others', async () => {
    const failures: ((error: unknown) => void)[] = [];
    const wrap = (engine: Engine): Engine =>
      changed(engine, {
        watch: (request, sink) => {
          failures.push((error) => sink.failed(error));
          return engine.watch(request, sink);
        },
      });
    await using rig = await openRig({ wrap });
    const told = new Told(rig.client);
    for (const key of ['a', 'b']) told.watch.send({ create: { key: of(key) } });
    await told.until(2);
    failures[0]?.(new EngineError(14, 'etcdserver: server stopped'));
    await put(rig, 'b', '1');
    expect((await told.until(4)).slice(2)).toEqual([
      'watch 0 r1, canceled, etcdserver: server stopped',
      'watch 1 r2, put b=1@2',
    ]);
  });

  test('ends its watchers when the client goes away', async () => {
    await using rig = await openRig();
    const told = new Told(rig.client);
    told.watch.send({ create: { key: of('a') } });
    await told.until(1);
    told.watch.stream.close();
    await told.watch.ended;
    expect(await put(rig, 'a', '1')).toBe(2);
    expect(told.lines).toEqual(['watch 0 r1, created']);
  });

  test('ends with a status when the server closes, and the engine stays open', async () => {
    await using rig = await openRig();
    const told = new Told(rig.client);
    told.watch.send({ create: { key: of('a') } });
    await told.until(1);
    const closed = rig.close();
    expect(await told.watch.ended).toEqual({ code: 14, message: 'etcdserver: server stopped' });
    await closed;
    expect((await rig.engine.put({ key: of('a'), value: of('1') })).revision).toBe(2);
  });

  test('refuses nonsense with a status', async () => {
    await using rig = await openRig();
    const told = new Told(rig.client);
    told.watch.stream.write(Buffer.from([0, 0, 0, 0, 2, 0x0a, 0x05]));
    expect(await told.watch.ended).toMatchObject({ code: 13 });
  });
});
