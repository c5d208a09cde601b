import { once } from 'node:events';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { send } from '../../../../kubernetes/client/send.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { until } from '../../../support/until.ts';

let server: Server;
let url: string;
let clock: VirtualClock;
let asked: IncomingMessage | undefined;
let answer: (response: ServerResponse) => void;

beforeEach(async () => {
  clock = new VirtualClock();
  asked = undefined;
  server = createServer((request, response) => {
    asked = request;
    answer(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

function ask(signal = new AbortController().signal): ReturnType<typeof send> {
  const credentials = { headers: { Authorization: 'Bearer abc\n' } };
  return send(
    { server: `${url}/`, method: 'GET', path: '/api/v1/pods', credentials },
    { signal, idleMs: 60_000 },
    clock,
  );
}

async function textOf(body: AsyncIterable<Buffer>): Promise<string> {
  let text = '';
  for await (const part of body) text += part.toString();
  return text;
}

test('A request carries what was in a token file, without its line break', async () => {
  answer = (response) => response.writeHead(429, { 'retry-after': '7' }).end('{}');
  using got = await ask();
  expect(asked?.headers.authorization).toBe('Bearer abc');
  expect(asked?.url).toBe('/api/v1/pods');
  expect(got).toMatchObject({ status: 429, retryAfterMs: 7_000 });
  expect(await textOf(got.body)).toBe('{}');
});

test('A server that does not answer is given up after the time that was asked for, not before', async () => {
  answer = () => undefined;
  let outcome = '';
  const asking = ask().then(
    () => (outcome = 'answered'),
    (error: Error) => (outcome = error.message),
  );
  await until(() => asked !== undefined);
  await clock.advance(59_000);
  expect(outcome).toBe('');
  await clock.advance(2_000);
  await asking;
  expect(outcome).toBe('The API server has said nothing for 60 s');
});

test('A server that falls silent in the middle is given up; a reader that takes its time is no reason to', async () => {
  answer = (response) => void response.writeHead(200).write('first');
  using got = await ask();
  const reading = got.body[Symbol.asyncIterator]();
  expect(String((await reading.next()).value)).toBe('first');
  // Nobody waits for the server now.
  await clock.advance(600_000);
  const next = reading.next().then(
    () => 'more',
    (error: Error) => error.message,
  );
  await clock.advance(61_000);
  expect(await next).toMatch(/has said nothing for 60 s|aborted/);
});

test('An answer that is cut short is an error, never a short answer', async () => {
  answer = (response) => {
    response.writeHead(200, { 'content-length': '100' }).write('only this');
    setImmediate(() => response.destroy());
  };
  using got = await ask();
  await expect(textOf(got.body)).rejects.toThrow(/aborted|middle of an answer/);
});

test.each(['before', 'during'])('An abort ends a request %s its answer', async (when) => {
  const stop = new AbortController();
  answer = (response) => {
    if (when === 'during') response.writeHead(200).write('first');
  };
  const asking = ask(stop.signal);
  await until(() => asked !== undefined);
  if (when === 'before') {
    stop.abort(new Error('stopped'));
    await expect(asking).rejects.toThrow('stopped');
    return;
  }
  using got = await asking;
  const reading = textOf(got.body);
  stop.abort(new Error('stopped'));
  await expect(reading).rejects.toThrow(/aborted|stopped/);
  await expect(ask(stop.signal)).rejects.toThrow('stopped');
});
