import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { expect, test } from '@jest/globals';
import { UnavailableError, openEtcdStore } from '../../../../kvstore/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { until } from '../../../support/until.ts';

test('A listing whose page never comes fails in time, although the server is there', async () => {
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
  const store = stack.use(
    openEtcdStore({
      endpoints: [`http://127.0.0.1:${(server.address() as AddressInfo).port}`],
      clock,
      log: silentLogger,
      // What notices a server that is not there.
      pingIntervalMs: 3_600_000,
    }),
  );
  let error: unknown;
  store
    .list('a/')
    .next()
    .catch((failure: unknown) => (error = failure));
  await until(() => calls === 1);
  await clock.advance(9_000);
  expect(error).toBeUndefined();
  await clock.advance(1_000);
  await until(() => error !== undefined);
  expect(error).toBeInstanceOf(UnavailableError);
  expect(String(error)).toContain('Cannot list "a/"');
});
