import { expect, jest, test } from '@jest/globals';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { methods } from '../../../kvstore/etcd/wire/index.ts';
import { RawEtcd } from '../../support/raw-etcd.ts';
import { until } from '../../support/until.ts';

const isthmus = new URL('../../../bin/isthmus', import.meta.url).pathname;
const of = (text: string): Uint8Array => Buffer.from(text);
const unavailable = 14;

jest.setTimeout(300_000);

/** `isthmus store serve` on a directory, by its port. */
async function startStore(directory: string): Promise<{ readonly child: ChildProcess; readonly port: number }> {
  const child = spawn(isthmus, ['store', 'serve', '--data-dir', directory, '--listen', '127.0.0.1:0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  await until(() => /on 127\.0\.0\.1:\d+,/.test(said));
  return { child, port: Number(/on 127\.0\.0\.1:(\d+),/.exec(said)?.[1]) };
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  const exited = once(child, 'exit') as Promise<[number | null]>;
  child.kill(signal);
  return (await exited)[0];
}

test('a store that is told to end while it is written to keeps all that it acknowledged, and leases go on where they were', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-stop-'));
  const children: ChildProcess[] = [];
  try {
    const acknowledged = new Map<string, { value: number; revision: number }>();
    let shown = 0;
    let leftBefore = 0;
    {
      const { child, port } = await startStore(directory);
      children.push(child);
      await using client = new RawEtcd(port);
      const refusals: number[] = [];
      await client.call(methods.leaseGrant, { id: 7n, ttl: 600 });
      await client.call(methods.leaseGrant, { id: 8n, ttl: 1200 });
      await client.call(methods.put, { key: of('leased'), value: of('x'), lease: 7n });
      client
        .watch(({ events }) => (shown = Math.max(shown, ...events.map(({ kv }) => kv?.modRevision ?? 0))))
        .send({ create: { key: of('w/'), rangeEnd: of('w0') } });
      const writer = async (name: string): Promise<void> => {
        for (let value = 1; ; value++) {
          const answer = await client
            .call(methods.put, { key: of(name), value: of(String(value)) })
            .catch(() => undefined);
          if (answer?.code !== 0) return void refusals.push(answer?.code ?? unavailable);
          acknowledged.set(name, { value, revision: answer.response?.header?.revision ?? 0 });
        }
      };
      const writers = Array.from({ length: 16 }, (_, i) => writer(`w/${i}`));
      // Long enough that a lease which began anew could be told from one that went on.
      await until(async () => {
        leftBefore = (await client.call(methods.leaseTimeToLive, { id: 7n })).response?.ttl ?? 600;
        return leftBefore <= 597;
      });
      expect(await stop(child, 'SIGTERM')).toBe(0);
      await Promise.all(writers);
      // Refused in a way on which every client tries again, or cut off.
      expect(refusals.filter((code) => code !== unavailable && code !== -1)).toEqual([]);
    }
    const { child, port } = await startStore(directory);
    children.push(child);
    await using client = new RawEtcd(port);
    const { response } = await client.call(methods.range, { key: of('w/'), rangeEnd: of('w0') });
    const kept = new Map(
      response?.kvs.map(({ key, value, modRevision }) => [
        Buffer.from(key).toString(),
        { value: Number(Buffer.from(value)), revision: modRevision },
      ]),
    );
    const lost = [...acknowledged].filter(([name, { value }]) => (kept.get(name)?.value ?? 0) < value);
    expect({ lost, writers: acknowledged.size }).toEqual({ lost: [], writers: 16 });
    expect(response?.header?.revision).toBeGreaterThanOrEqual(
      Math.max(shown, ...[...acknowledged.values()].map(({ revision }) => revision)),
    );
    const lease = (await client.call(methods.leaseTimeToLive, { id: 7n, keys: true })).response;
    expect(lease).toMatchObject({ grantedTtl: 600, keys: [new Uint8Array(of('leased'))] });
    expect(lease?.ttl).toBeLessThanOrEqual(leftBefore);
    expect(lease?.ttl).toBeGreaterThan(0);
    expect(await stop(child, 'SIGTERM')).toBe(0);
  } finally {
    for (const child of children)
      if (child.exitCode === null && child.signalCode === null) await stop(child, 'SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
});
