import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { type Socket, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLogger } from '../../../runtime/log/index.ts';
import { createMetrics } from '../../../runtime/metrics/index.ts';
import {
  ApiError,
  type ApiRequest,
  type ApiRoutes,
  type UnixApiServer,
  callUnixApi,
  serveHealth,
  serveUnixApi,
  streamUnixApi,
} from '../../../runtime/serve/index.ts';

let folder: string;
let socket: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-serve-'));
  socket = join(folder, 'run', 'api.sock');
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const serve = (routes: ApiRoutes, checkPeer?: (socket: Socket) => void): Promise<UnixApiServer> =>
  serveUnixApi({ path: socket, routes, log: silentLogger, ...(checkPeer ? { checkPeer } : {}) });

describe('the API on a Unix socket', () => {
  test('hands a handler path, query and body, and its answer back', async () => {
    const seen: Omit<ApiRequest, 'signal'>[] = [];
    await using _server = await serve({
      'PUT /v1/endpoints/:namespace/:pod': ({ params, query, body }) => {
        seen.push({ params, query, body });
        return { identity: 65_537 };
      },
    });
    const answer = await callUnixApi(socket, {
      method: 'PUT',
      route: '/v1/endpoints/default/front%20end?dry=yes',
      body: { ips: ['10.1.0.4'] },
    });
    expect(answer).toEqual({ identity: 65_537 });
    expect(seen).toEqual([
      {
        params: { namespace: 'default', pod: 'front end' },
        query: new URLSearchParams('dry=yes'),
        body: { ips: ['10.1.0.4'] },
      },
    ]);
  });

  test('gives up on a process that says nothing, before its answer or in the middle, and only when told to', async () => {
    const asked: (() => void)[] = [];
    await using _server = await serve({
      'GET /v1/silent': ({ signal }) =>
        new Promise((resolve) => {
          asked.push(() => resolve({ late: true }));
          signal.addEventListener('abort', () => resolve(undefined), { once: true });
        }),
      'GET /v1/stuck': async function* ({ signal }) {
        yield 1;
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      },
    });
    const patient = callUnixApi(socket, { route: '/v1/silent' });
    for (const [route, says] of [
      ['/v1/silent', 'it has said nothing for 0.05 s'],
      ['/v1/stuck', 'the process went away in the middle of its answer'],
    ] as const)
      await expect(callUnixApi(socket, { route, silenceMs: 50 })).rejects.toMatchObject({
        name: 'ApiUnreachableError',
        message: `Cannot reach ${socket}: ${says}`,
      });
    asked[0]?.();
    expect(await patient).toEqual({ late: true });
  });

  test('answers nothing for undefined', async () => {
    await using _server = await serve({ 'POST /v1/leave': () => undefined });
    expect(await callUnixApi(socket, { method: 'POST', route: '/v1/leave' })).toBeUndefined();
  });

  test.each([
    { route: '/v1/nothing', method: 'GET', status: 404, code: 'NO_SUCH_ROUTE' },
    { route: '/v1/refused', method: 'DELETE', status: 405, code: 'METHOD' },
    { route: '/v1/refused', method: 'GET', status: 409, code: 'TAKEN' },
    { route: '/v1/broken', method: 'GET', status: 500, code: 'INTERNAL' },
    { route: '/v1/coded', method: 'GET', status: 500, code: 'ENOENT' },
  ])('answers $method $route with $status $code', async ({ route, method, status, code }) => {
    await using _server = await serve({
      'GET /v1/refused': () => {
        throw new ApiError(409, 'TAKEN', 'The name is taken');
      },
      'GET /v1/broken': () => Promise.reject(new Error('Broken')),
      'GET /v1/coded': () => stat(join(folder, 'absent')),
    });
    await expect(callUnixApi(socket, { method, route })).rejects.toMatchObject({ name: 'ApiError', status, code });
  });

  test('refuses a body that is not JSON, and one that is too large', async () => {
    await using _server = await serveUnixApi({
      path: socket,
      routes: { 'PUT /v1/x': () => ({}) },
      log: silentLogger,
      maxBodyBytes: 100,
    });
    const put = (body: unknown): Promise<unknown> => callUnixApi(socket, { method: 'PUT', route: '/v1/x', body });
    await expect(put('x'.repeat(200))).rejects.toMatchObject({ status: 413 });
    expect(await put('short')).toEqual({});
  });

  test('streams JSON lines, and ends the handler when the caller leaves', async () => {
    let ended: (() => void) | undefined;
    const finished = new Promise<void>((resolve) => (ended = resolve));
    async function* count(signal: AbortSignal): AsyncGenerator<{ n: number }> {
      try {
        for (let n = 0; !signal.aborted; n++) {
          yield { n };
          await new Promise((resolve) => setImmediate(resolve));
        }
      } finally {
        ended?.();
      }
    }
    await using _server = await serve({ 'GET /v1/watch': ({ signal }) => count(signal) });
    const seen: unknown[] = [];
    for await (const value of streamUnixApi(socket, { route: '/v1/watch' })) {
      seen.push(value);
      if (seen.length === 3) break;
    }
    await finished;
    expect(seen).toEqual([{ n: 0 }, { n: 1 }, { n: 2 }]);
  });

  test('ends a stream with the error that its handler threw', async () => {
    async function* failing(): AsyncGenerator<number> {
      yield 1;
      throw new ApiError(410, 'GONE', 'No more');
    }
    await using _server = await serve({ 'GET /v1/watch': () => failing() });
    const seen: unknown[] = [];
    const follow = async (): Promise<void> => {
      for await (const value of streamUnixApi(socket, { route: '/v1/watch' })) seen.push(value);
    };
    await expect(follow()).rejects.toMatchObject({ code: 'GONE', message: 'No more' });
    expect(seen).toEqual([1]);
  });

  test('says that a stream was cut when its server goes away', async () => {
    async function* silent(signal: AbortSignal): AsyncGenerator<number> {
      yield 1;
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    }
    const server = await serve({ 'GET /v1/watch': ({ signal }) => silent(signal) });
    const follow = async (): Promise<void> => {
      for await (const _ of streamUnixApi(socket, { route: '/v1/watch' })) await server[Symbol.asyncDispose]();
    };
    await expect(follow()).rejects.toMatchObject({ name: 'ApiUnreachableError' });
  });

  test('a call that is aborted throws the reason of its signal', async () => {
    const reached = Promise.withResolvers<void>();
    await using _server = await serve({
      'GET /v1/slow': ({ signal }) => {
        reached.resolve();
        return new Promise((resolve) => signal.addEventListener('abort', resolve));
      },
    });
    const controller = new AbortController();
    const call = callUnixApi(socket, { route: '/v1/slow', signal: controller.signal });
    await reached.promise;
    controller.abort(new Error('Enough'));
    await expect(call).rejects.toThrow('Enough');
  });

  test('makes socket and directory private', async () => {
    await using _server = await serve({});
    expect((await stat(socket)).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'run'))).mode & 0o777).toBe(0o700);
  });

  test('refuses a directory that others may write to', async () => {
    await mkdir(join(folder, 'run'));
    await chmod(join(folder, 'run'), 0o770);
    await expect(serve({})).rejects.toThrow('others may write to it (mode 770)');
  });

  test('refuses a socket that a living process serves, and a file that is no socket', async () => {
    await using _server = await serve({ 'GET /v1/who': () => 'first' });
    await expect(serve({})).rejects.toMatchObject({ name: 'ListenError', code: 'EADDRINUSE' });
    expect(await callUnixApi(socket, { route: '/v1/who' })).toBe('first');
    socket = join(folder, 'run', 'file');
    await writeFile(socket, '');
    await expect(serve({})).rejects.toThrow('there is a file of another kind');
  });

  test('takes over the socket that a killed process has left', async () => {
    await mkdir(join(folder, 'run'), { mode: 0o700 });
    const script = `require('net').createServer().listen(${JSON.stringify(socket)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', script]);
    expect((await stat(socket)).isSocket()).toBe(true);
    await using _server = await serve({ 'GET /v1/who': () => 'second' });
    expect(await callUnixApi(socket, { route: '/v1/who' })).toBe('second');
  });

  test('names a path that is too long for a socket', async () => {
    socket = join(folder, 'x'.repeat(120));
    await expect(serve({})).rejects.toThrow('the path is longer than 107 bytes');
  });

  test('refuses a caller whom the peer check refuses, with words', async () => {
    await using _server = await serve({ 'GET /v1/who': () => 'me' }, () => {
      throw new Error('User 1000 may not ask here');
    });
    await expect(callUnixApi(socket, { route: '/v1/who' })).rejects.toMatchObject({
      status: 403,
      code: 'PEER_REFUSED',
      message: 'User 1000 may not ask here',
    });
  });

  test('says that nobody answers, and at which path', async () => {
    await expect(callUnixApi(socket, { route: '/' })).rejects.toMatchObject({
      name: 'ApiUnreachableError',
      path: socket,
      code: 'ENOENT',
    });
  });

  test('leaves no socket behind', async () => {
    const server = await serve({});
    await server[Symbol.asyncDispose]();
    await expect(stat(socket)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('the health server', () => {
  const fetchText = async (port: number, path: string): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return `${response.status} ${await response.text()}`;
  };

  test('answers liveness and readiness, with what is waited for', async () => {
    let waitingFor = ['nodes of west', 'first full pass'];
    let alive = true;
    await using server = await serveHealth({
      port: 0,
      live: () => alive,
      ready: () => ({ ready: waitingFor.length === 0, waitingFor }),
    });
    const { port, host } = server.address;
    expect(host).toBe('127.0.0.1');
    expect(await fetchText(port, '/healthz')).toBe('200 ok\n');
    expect(await fetchText(port, '/readyz')).toBe('500 not ready: waiting for nodes of west, first full pass\n');
    waitingFor = [];
    alive = false;
    expect(await fetchText(port, '/readyz')).toBe('200 ok\n');
    expect(await fetchText(port, '/healthz')).toBe('500 not alive\n');
    expect(await fetchText(port, '/metrics')).toBe('404 No metrics are kept\n');
    expect(await fetchText(port, '/else')).toContain('404');
  });

  test('serves the metrics in the text format', async () => {
    const metrics = createMetrics({ prefix: 'isthmus_' });
    metrics.gauge({ name: 'up', help: 'Up' }).set(1);
    await using server = await serveHealth({ port: 0, metrics });
    const response = await fetch(`http://127.0.0.1:${server.address.port}/metrics`);
    expect(response.headers.get('content-type')).toContain('text/plain; version=0.0.4');
    expect(await response.text()).toContain('isthmus_up 1\n');
  });

  test('says that its port is in use', async () => {
    const other = createServer();
    const port = await new Promise<number>((resolve) => {
      other.listen(0, '127.0.0.1', () => resolve((other.address() as { port: number }).port));
    });
    try {
      await expect(serveHealth({ port })).rejects.toThrow(
        `Cannot listen on 127.0.0.1:${port}: the address is already in use by another process`,
      );
    } finally {
      other.close();
    }
  });
});
