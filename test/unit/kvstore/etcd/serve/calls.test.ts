import { connect } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import type { Engine } from '../../../../../kvstore/contract/index.ts';
import {
  type FrameReader as Frames,
  FrameReader,
  decode,
  encodeFrame,
  methods,
} from '../../../../../kvstore/etcd/wire/index.ts';
import { VirtualClock } from '../../../../../runtime/clock/index.ts';
import { createMetrics } from '../../../../../runtime/metrics/index.ts';
import { RawEtcd } from '../../../../support/raw-etcd.ts';
import { of, openRig, put } from './rig.ts';

const nothing = encodeFrame(methods.leaseLeases.request, {});
const range = (hex: string): Buffer => {
  const body = Buffer.from(hex, 'hex');
  return Buffer.concat([Buffer.from([0, 0, 0, 0, body.length]), body]);
};

describe('the etcd API', () => {
  test.each([
    {
      what: 'an unknown method',
      path: '/etcdserverpb.KV/Frob',
      body: nothing,
      code: 12,
      text: 'unknown method Frob for service etcdserverpb.KV',
    },
    { what: 'an unknown service', path: '/x.Y/Z', body: nothing, code: 12, text: 'unknown service x.Y' },
    {
      what: 'no message',
      path: methods.put.path,
      body: Buffer.alloc(0),
      code: 13,
      text: 'isthmus: the request ended before its message was whole',
    },
    {
      what: 'half a message',
      path: methods.put.path,
      body: nothing.subarray(0, 3),
      code: 13,
      text: 'isthmus: the request ended before its message was whole',
    },
    {
      what: 'a message of garbage',
      path: methods.put.path,
      body: range('0a05'),
      code: 13,
      text: /^grpc: error unmarshalling request: /,
    },
    {
      what: 'a compressed message',
      path: methods.put.path,
      body: Buffer.from([1, 0, 0, 0, 0]),
      code: 13,
      text: /compressed/,
    },
    {
      what: 'a message too long to be read',
      path: methods.put.path,
      body: Buffer.from([0, 0, 0x20, 0, 1]),
      code: 8,
      text: 'grpc: received message larger than max (2097153 vs. 2097152)',
    },
    {
      what: 'an order that does not exist',
      path: methods.range.path,
      body: range('0a01612809'),
      code: 3,
      text: 'etcdserver: invalid sort option',
    },
    {
      what: 'a transaction with an empty operation',
      path: methods.txn.path,
      body: range('1200'),
      code: 3,
      text: 'etcdserver: key not found',
    },
    { what: 'no key', path: methods.put.path, body: range(''), code: 3, text: 'etcdserver: key is not provided' },
    {
      what: 'a lease that is not there',
      path: methods.leaseRevoke.path,
      body: range('0805'),
      code: 5,
      text: 'etcdserver: requested lease not found',
    },
    {
      what: 'a user',
      path: methods.authenticate.path,
      body: nothing,
      code: 9,
      text: 'etcdserver: authentication is not enabled',
    },
    { what: 'an alarm', path: methods.alarm.path, body: range('0801'), code: 12, text: /^isthmus: / },
  ])('refuses $what', async ({ path, body, code, text }) => {
    await using rig = await openRig();
    const answer = await rig.client.bytes(path, body);
    expect(answer).toMatchObject({ code, messages: [] });
    if (typeof text === 'string') expect(answer.message).toBe(text);
    else expect(answer.message).toMatch(text);
    expect(await put(rig, 'still', 'works')).toBe(2);
  });

  test('does not serve what is compressed, and says so as gRPC does', async () => {
    await using rig = await openRig();
    const compressed = Buffer.from([1, 0, 0, 0, 0]);
    expect(await rig.client.bytes(methods.put.path, compressed, { 'grpc-encoding': 'gzip' })).toMatchObject({
      code: 12,
      message: 'grpc: Decompressor is not installed for grpc-encoding "gzip"',
    });
    const plain = encodeFrame(methods.put.request, { key: of('a') });
    expect(await rig.client.bytes(methods.put.path, plain, { 'grpc-encoding': 'identity' })).toMatchObject({ code: 0 });
  });

  test('refuses a put that is too large, in etcd’s words', async () => {
    await using rig = await openRig();
    const { code, message } = await rig.client.call(methods.put, { key: of('a'), value: new Uint8Array(1_600_000) });
    expect({ code, message }).toEqual({ code: 3, message: 'etcdserver: request is too large' });
  });

  test('names cluster, member, revision and term in every header, and only the revision inside transactions', async () => {
    await using rig = await openRig();
    const { clusterId, memberId } = rig.engine;
    const header = { clusterId, memberId, raftTerm: 1n };
    expect((await rig.client.call(methods.put, { key: of('a') })).response?.header).toEqual({ ...header, revision: 2 });
    expect((await rig.client.call(methods.memberList, {})).response?.header).toEqual({ ...header, revision: 0 });
    const { response } = await rig.client.call(methods.txn, { success: [{ put: { key: of('b') } }] });
    expect(response?.header).toEqual({ ...header, revision: 3 });
    expect(response?.responses[0]?.put?.header).toEqual({ clusterId: 0n, memberId: 0n, raftTerm: 0n, revision: 3 });
  });

  test('keeps leases alive in the order asked, and says 0 of those that are gone', async () => {
    await using rig = await openRig();
    await rig.client.call(methods.leaseGrant, { id: 7n, ttl: 30 });
    const stream = rig.client.open(methods.leaseKeepAlive.path);
    const frames: Frames = new FrameReader({ maxBytes: 1000 });
    const answers: (readonly [bigint, number])[] = [];
    stream.on('data', (chunk: Buffer) => {
      for (const message of frames.push(chunk)) {
        const { id, ttl } = decode(methods.leaseKeepAlive.response, message);
        answers.push([id, ttl]);
      }
    });
    for (const id of [7n, 8n, 7n]) stream.write(encodeFrame(methods.leaseKeepAlive.request, { id }));
    stream.end();
    await new Promise((resolve) => stream.once('close', resolve));
    expect(answers).toEqual([
      [7n, 30],
      [8n, 0],
      [7n, 30],
    ]);
  });

  test('answers others while one client does not read a large answer', async () => {
    await using rig = await openRig({}, { windowBytes: 65_535 });
    for (let i = 0; i < 4; i++) await put(rig, `k${i}`, 'x'.repeat(1_000_000));
    const slow = rig.client.open(methods.range.path);
    slow.pause();
    slow.end(encodeFrame(methods.range.request, { key: of('k'), rangeEnd: of('l') }));
    await using other = new RawEtcd(rig.port);
    expect((await other.call(methods.range, { key: of('k0'), countOnly: true })).response?.count).toBe(1);
    slow.close();
  });

  test('lets a call under way finish when it closes, and takes no new connection', async () => {
    await using rig = await openRig();
    const under = rig.client.call(methods.put, { key: of('a'), value: of('1') });
    await put(rig, 'b', '1');
    await rig.close();
    expect(await under).toMatchObject({ code: 0 });
    await using late = new RawEtcd(rig.port);
    expect((await late.call(methods.put, { key: of('a') })).code).toBe(-1);
  });

  test('counts calls and watchers', async () => {
    const metrics = createMetrics({ prefix: 'isthmus_' });
    await using rig = await openRig({ metrics });
    await put(rig, 'a', '1');
    await rig.client.call(methods.put, {});
    const text = await metrics.text();
    expect(text).toContain('isthmus_etcd_server_calls_total{method="KV/Put",code="0"} 1');
    expect(text).toContain('isthmus_etcd_server_calls_total{method="KV/Put",code="3"} 1');
    expect(text).toContain('isthmus_etcd_server_watchers 0');
  });
});

describe('HTTP/1.1 on the same port', () => {
  const get = async (port: number, path: string, init?: RequestInit): Promise<readonly [number, string]> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
    return [response.status, await response.text()];
  };

  test('gives version, health and readiness', async () => {
    await using rig = await openRig();
    expect(await get(rig.port, '/version')).toEqual([
      200,
      '{"etcdserver":"3.6.16","etcdcluster":"3.6.0","storage":"isthmus"}',
    ]);
    expect(await get(rig.port, '/health?serializable=true')).toEqual([200, '{"health":"true","reason":""}']);
    expect(await get(rig.port, '/readyz')).toEqual([200, 'ok\n']);
    expect(await get(rig.port, '/v3/kv/range')).toEqual([404, '404 page not found\n']);
    expect(await get(rig.port, '/health', { method: 'POST' })).toEqual([405, 'Method Not Allowed\n']);
  });

  test('says why it is not healthy', async () => {
    await using rig = await openRig();
    await rig.engine[Symbol.asyncDispose]();
    expect(await get(rig.port, '/health')).toEqual([503, '{"health":"false","reason":"etcdserver: server stopped"}']);
  });

  test.each([
    { type: 'no-space', alarm: 'NOSPACE' },
    { type: 'damaged', alarm: 'CORRUPT' },
    { type: 'broken', alarm: 'CORRUPT' },
  ] as const)('a store that is $type says so in alarms, status, health and readiness', async ({ type, alarm }) => {
    const problem = { type, message: 'why it is so' };
    const wrap = (engine: Engine): Engine =>
      new Proxy(engine, {
        get: (target, name) => {
          if (name === 'status') return async () => ({ ...(await target.status()), problem });
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
    await using rig = await openRig({ wrap });
    const reason = `ALARM ${alarm}: why it is so`;
    expect(await get(rig.port, '/health')).toEqual([503, JSON.stringify({ health: 'false', reason })]);
    expect(await get(rig.port, '/readyz')).toEqual([503, `${reason}\n`]);
    expect(await get(rig.port, `/health?exclude=${alarm}`)).toEqual([200, '{"health":"true","reason":""}']);
    const { memberId } = rig.engine;
    const alarms = (await rig.client.call(methods.alarm, {})).response?.alarms;
    expect(alarms).toEqual([{ memberId, alarm: type === 'no-space' ? 'no-space' : 'corrupt' }]);
    const status = (await rig.client.call(methods.status, {})).response;
    expect(status?.errors).toEqual([`memberID:${memberId} alarm:${alarm}`, 'why it is so']);
  });

  test('is told from HTTP/2 however slowly the first bytes come', async () => {
    await using rig = await openRig();
    const socket = connect(rig.port, '127.0.0.1').setNoDelay(true);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    let answer = '';
    socket.setEncoding('latin1').on('data', (text: string) => (answer += text));
    // "P" and "PR" could still become HTTP/2's "PRI * HTTP/2.0".
    for (const part of ['P', 'R', 'OPFIND /version HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n']) {
      socket.write(part);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await closed;
    expect(answer).toMatch(/^HTTP\/1\.1 405 /);
  });

  test('a connection that says nothing is closed after ten seconds', async () => {
    const clock = new VirtualClock();
    await using rig = await openRig({ clock });
    const socket = connect(rig.port, '127.0.0.1');
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await put(rig, 'connected', 'before');
    await clock.advance(10_001);
    await closed;
    expect(await put(rig, 'the other', 'stays')).toBe(3);
  });

  test.each([
    { what: 'a request line', bytes: 'GET /health HTTP/1.1\r\nhost: x\r\n' },
    { what: 'half of a second request', bytes: 'GET /health HTTP/1.1\r\nhost: x\r\n\r\nGET /hea' },
    { what: 'a body that does not come', bytes: 'GET /health HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\nx' },
    { what: 'the preface of HTTP/2', bytes: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' },
  ])('so is one that stops after $what', async ({ bytes }) => {
    const clock = new VirtualClock();
    await using rig = await openRig({ clock });
    const socket = connect(rig.port, '127.0.0.1');
    let isClosed = false;
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve())).then(() => (isClosed = true));
    socket.resume().write(bytes);
    // Whatever is answered at once is answered by then.
    for (let i = 0; i < 20; i++) await put(rig, 'time', 'goes');
    await clock.advance(9_000);
    for (let i = 0; i < 20; i++) await put(rig, 'time', 'goes');
    expect(isClosed).toBe(false);
    await clock.advance(1_001);
    await closed;
    expect((await rig.client.call(methods.put, { key: of('the other') })).code).toBe(0);
  });

  test('connections beyond the limit are closed, the others work', async () => {
    await using rig = await openRig({ limits: { maxConnections: 2 } });
    await put(rig, 'a', '1');
    const sockets = [connect(rig.port, '127.0.0.1'), connect(rig.port, '127.0.0.1')];
    try {
      await Promise.race(sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve).resume())));
      expect(await put(rig, 'a', '2')).toBe(3);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });
});
