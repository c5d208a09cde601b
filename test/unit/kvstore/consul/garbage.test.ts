import { describe, expect, test } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type RequestListener, type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type ConsulStore,
  type ConsulStoreOptions,
  PermissionDeniedError,
  ProtocolError,
  UnavailableError,
  openConsulStore,
} from '../../../../kvstore/index.ts';
import { VirtualClock, systemClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { until } from '../../../support/until.ts';

const entry = { LockIndex: 0, Key: 'a/x', Flags: 0, Value: 'eA==', CreateIndex: 5, ModifyIndex: 5 };
const whole = JSON.stringify([entry]);

/** A store that talks to whatever `answers` say, each at an address of its own. */
async function talkingTo(
  answers: RequestListener | readonly RequestListener[],
  options: Partial<ConsulStoreOptions> = {},
): Promise<AsyncDisposable & { readonly store: ConsulStore }> {
  await using stack = new AsyncDisposableStack();
  const addresses: string[] = [];
  for (const answer of [answers].flat()) {
    const server: Server = createServer(answer);
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    stack.defer(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    addresses.push(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  }
  const store = openConsulStore({ addresses, clock: systemClock, log: silentLogger, callTimeoutMs: 200, ...options });
  stack.use(store);
  const kept = stack.move();
  return { store, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

async function listed(store: ConsulStore): Promise<number> {
  let count = 0;
  for await (const page of store.list('a/')) count += page.entries.length;
  return count;
}

describe('A server that is no proper Consul', () => {
  const index = { 'x-consul-index': '7' };
  test.each<{ readonly what: string; readonly answer: RequestListener; readonly error: new () => Error }>([
    {
      what: 'answers in HTML',
      answer: (_request, response) => void response.writeHead(200, index).end('<html>'),
      error: ProtocolError,
    },
    {
      what: 'names no index',
      answer: (_request, response) => void response.writeHead(200).end(whole),
      error: ProtocolError,
    },
    {
      what: 'knows no such path, without an index',
      answer: (_request, response) => void response.writeHead(404).end(),
      error: ProtocolError,
    },
    {
      what: 'cuts its answer off where a shorter one could end',
      answer: (_request, response) => {
        response.writeHead(200, { ...index, 'content-length': `${whole.length + 100}` });
        response.write(whole, () => response.destroy());
      },
      error: UnavailableError,
    },
    {
      what: 'cuts a chunked answer off',
      answer: (_request, response) => {
        response.writeHead(200, index);
        response.write(whole, () => response.destroy());
      },
      error: UnavailableError,
    },
    {
      what: 'ends a list in the middle',
      answer: (_request, response) => void response.writeHead(200, index).end(whole.slice(0, -1)),
      error: ProtocolError,
    },
    {
      what: 'is overloaded',
      answer: (_request, response) => void response.writeHead(429).end('Your IP is issuing too many connections'),
      error: UnavailableError,
    },
    {
      what: 'has no leader',
      answer: (_request, response) => void response.writeHead(500).end('No cluster leader'),
      error: UnavailableError,
    },
    {
      what: 'has filtered its answer',
      answer: (_request, response) =>
        void response.writeHead(404, { ...index, 'x-consul-results-filtered-by-acls': 'true' }).end(),
      error: PermissionDeniedError,
    },
  ])('is never taken for an empty or shorter one: it $what', async ({ answer, error }) => {
    await using talking = await talkingTo(answer);
    await expect(listed(talking.store)).rejects.toThrow(error);
  });

  test('may come to its senses: what failed for a while is asked again', async () => {
    let asked = 0;
    await using talking = await talkingTo((request, response) => {
      if (request.url?.startsWith('/v1/connect')) response.writeHead(500).end('Connect must be enabled');
      else if (++asked <= 2) response.writeHead(500).end('No cluster leader');
      else response.writeHead(200, index).end(whole);
    });
    expect(await listed(talking.store)).toBe(1);
    expect(talking.store.health()).toMatchObject({ connected: true, revision: 7 });
  });

  test('gets a write once only, when its answer does not come', async () => {
    let writes = 0;
    await using talking = await talkingTo((request, response) => {
      if (request.url !== '/v1/txn') response.writeHead(500).end('Connect must be enabled');
      else {
        writes += 1;
        response.destroy();
      }
    });
    const lease = 0x5a938d83d8981d7f7b1ade9f62f75eaan;
    await expect(talking.store.put('a/x', 'x', { lease })).rejects.toThrow(UnavailableError);
    expect(writes).toBe(1);
  });
});

test('A token that another call has replaced meanwhile is no reason to refuse a call that was sent with the former one', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-token-'));
  const tokenFile = join(folder, 'token');
  await writeFile(tokenFile, 'old');
  const late: (() => void)[] = [];
  const answer: RequestListener = (request, response) => {
    const refuse = (): void => void response.writeHead(403).end('ACL not found');
    if (request.url?.startsWith('/v1/connect')) response.writeHead(500).end('Connect must be enabled');
    else if (request.headers['x-consul-token'] === 'new') response.writeHead(200, { 'x-consul-index': '7' }).end(whole);
    else if (request.url?.includes('late')) late.push(refuse);
    else refuse();
  };
  try {
    await using talking = await talkingTo(answer, { tokenFile, callTimeoutMs: 15_000 });
    const refusedLate = talking.store.get('a/late');
    await until(() => late.length === 1);
    await writeFile(tokenFile, 'new');
    expect((await talking.store.get('a/x'))?.modRevision).toBe(5);
    for (const refuse of late) refuse();
    expect((await refusedLate)?.modRevision).toBe(5);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('Keys are counted by whichever server answers, or by the leader where the number has to be exact', async () => {
  const modes: string[] = [];
  await using talking = await talkingTo((request, response) => {
    const url = request.url ?? '';
    if (url.startsWith('/v1/connect')) response.writeHead(500).end('Connect must be enabled');
    else {
      modes.push(...['stale', 'consistent'].filter((mode) => url.includes(mode)));
      response.writeHead(200, { 'x-consul-index': '7' }).end('["a/x"]');
    }
  });
  expect([await talking.store.count('a/'), await talking.store.count('a/', { exact: true })]).toEqual([1, 1]);
  expect(modes).toEqual(['stale', 'consistent']);
});

test('A server that is silent is waited for no longer than a call may take, its repetitions included', async () => {
  const clock = new VirtualClock();
  await using it = await talkingTo(() => undefined, { clock, callTimeoutMs: 15_000, random: () => 0 });
  let error: unknown;
  it.store.get('a/x').catch((failure: unknown) => (error = failure));
  await until(
    () => error !== undefined,
    () => clock.advance(10),
  );
  expect(error).toBeInstanceOf(UnavailableError);
  // Two seconds for asking which store this is, and the call; an attempt that begins near the end has not its seven seconds.
  expect(clock.monotonicMs()).toBeGreaterThan(14_000);
  expect(clock.monotonicMs()).toBeLessThan(18_000);
});

test('A server that knows no such path is left for one that is a Consul', async () => {
  const asked: string[] = [];
  const consul: RequestListener = (request, response) => {
    asked.push(request.method ?? '');
    const body = request.method === 'GET' ? whole : '{"Results":[],"Errors":null}';
    response.writeHead(200, { 'x-consul-index': '7' }).end(body);
  };
  await using it = await talkingTo([(_request, response) => void response.writeHead(404).end('<html>'), consul], {
    callTimeoutMs: 15_000,
  });
  expect((await it.store.get('a/x'))?.modRevision).toBe(5);
  expect(asked).toEqual(['GET']);
});
