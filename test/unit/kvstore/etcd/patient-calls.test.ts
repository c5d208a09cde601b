import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { type EtcdStore, UnavailableError, openEtcdStore } from '../../../../kvstore/index.ts';
import { VirtualClock, systemClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { until } from '../../../support/until.ts';

describe.each([
  ['compaction', (store: EtcdStore, signal?: AbortSignal) => store.compact(5, signal && { signal })],
  ['defragmentation', (store: EtcdStore, signal?: AbortSignal) => store.defragment(signal && { signal })],
])('A %s', (_, call) => {
  test('that reaches nobody fails as soon as any other call', async () => {
    await using store = openEtcdStore({
      endpoints: ['http://127.0.0.1:1'],
      clock: systemClock,
      log: silentLogger,
      callTimeoutMs: 200,
    });
    await expect(call(store, AbortSignal.timeout(4000))).rejects.toThrow(UnavailableError);
  });

  test('is given minutes by a server that is there', async () => {
    await using stack = new AsyncDisposableStack();
    const server = createServer();
    let calls = 0;
    server.on('stream', (stream) => {
      stream.on('error', () => undefined);
      calls += 1;
    });
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    stack.defer(() => void server.close());
    const clock = new VirtualClock();
    const endpoints = [`http://127.0.0.1:${(server.address() as AddressInfo).port}`];
    const store = stack.use(openEtcdStore({ endpoints, clock, log: silentLogger, pingIntervalMs: 3_600_000 }));
    let error: unknown;
    call(store).catch((failure: unknown) => (error = failure));
    await until(() => calls === 1);
    await clock.advance(599_000);
    expect(error).toBeUndefined();
    await clock.advance(1_000);
    await until(() => error !== undefined);
    expect(error).toBeInstanceOf(UnavailableError);
  });
});
