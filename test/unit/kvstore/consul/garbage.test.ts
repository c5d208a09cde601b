import { describe, expect, test } from '@jest/globals';
import { type RequestListener, type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type ConsulStore,
  PermissionDeniedError,
  ProtocolError,
  UnavailableError,
  openConsulStore,
} from '../../../../kvstore/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';

const entry = { LockIndex: 0, Key: 'a/x', Flags: 0, Value: 'eA==', CreateIndex: 5, ModifyIndex: 5 };
const whole = JSON.stringify([entry]);

/** A store that talks to whatever `answer` says. */
async function talkingTo(answer: RequestListener): Promise<AsyncDisposable & { readonly store: ConsulStore }> {
  const server: Server = createServer(answer);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const store = openConsulStore({
    addresses: [`http://127.0.0.1:${port}`],
    clock: systemClock,
    log: silentLogger,
    callTimeoutMs: 200,
  });
  return {
    store,
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
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
