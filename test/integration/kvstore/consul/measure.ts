// How far Consul carries: one key changes under a watched prefix of N keys, again and again. Prints the table of
// docs/consul.md. Run by hand: `sh deploy/node.sh test/integration/kvstore/consul/measure.ts`.
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConsulStore, openConsulStore } from '../../../../kvstore/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { startConsul } from '../../../support/consul.ts';

const valueBytes = 240;
const putsPerSecond = 100;
const puts = 500;

await using server = await startConsul({ mode: 'disk' });
const open = (): ConsulStore =>
  openConsulStore({ addresses: [server.endpoint], clock: systemClock, log: silentLogger });
await using writer = open();
const { id: lease } = await writer.grantLease({ ttlSeconds: 3600 });

console.log(
  '| keys | bytes of all | 5 puts/s by others: put → seen, p50 / p99 ms | CPU a change, ms | 100 puts/s by others | 100 puts/s of ours |',
);
console.log('|---|---|---|---|---|---|');
const sizes = process.argv.slice(2).map(Number);
for (const keys of sizes.length > 0 ? sizes : [100, 1000, 10_000, 50_000, 100_000]) {
  const prefix = `measure-${keys}/state/ip/v1/`;
  for (let from = 0; from < keys; from += 100)
    await writer.transact({
      when: [],
      then: Array.from({ length: 100 }, (_, i) => ({ type: 'put', key: keyOf(prefix, from + i), value: value() })),
    });
  const bytes = Buffer.byteLength((await server.call('GET', `/v1/kv/${encodeURIComponent(prefix)}?recurse`)).text);
  const stranger = async (key: string, text: string): Promise<void> => {
    await server.call('PUT', `/v1/kv/${encodeURIComponent(key)}`, text);
  };
  const ours = (key: string, text: string): Promise<unknown> => writer.put(key, text, { lease });
  const alone = await measure(prefix, keys, 100, 5, stranger);
  const strangers = await measure(prefix, keys, puts, putsPerSecond, stranger);
  const own = await measure(prefix, keys, puts, putsPerSecond, ours);
  console.log(
    `| ${keys} | ${bytes} | ${show(alone.delays)} | ${(alone.cpuMs / alone.delays.length).toFixed(1)} | ${show(strangers.delays)} | ${show(own.delays)} |`,
  );
  await writer.deletePrefix(prefix);
}

/** Puts at a rate, each to another key; gives how long each took from the call to the event. The writer's CPU is in it. */
async function measure(
  prefix: string,
  keys: number,
  count: number,
  rate: number,
  put: (key: string, text: string) => Promise<unknown>,
): Promise<{ readonly delays: number[]; readonly cpuMs: number }> {
  await using reader = open();
  const stopping = new AbortController();
  const sentMs = new Map<string, number>();
  const delays: number[] = [];
  const { promise: synced, resolve } = Promise.withResolvers<void>();
  const reading = (async () => {
    for await (const batch of reader.listAndWatch(prefix, { signal: stopping.signal })) {
      if (batch.type === 'synced') resolve();
      if (batch.type !== 'changes') continue;
      for (const event of batch.events) {
        const sent = event.type === 'put' && sentMs.get(Buffer.from(event.entry.value.subarray(0, 16)).toString());
        if (typeof sent === 'number') delays.push(performance.now() - sent);
      }
    }
  })();
  await synced;
  const before = process.cpuUsage();
  const startMs = performance.now();
  const writes: Promise<unknown>[] = [];
  for (let i = 0; i < count; i++) {
    await sleep(Math.max(0, startMs + (i * 1000) / rate - performance.now()));
    const stamp = `${keys}-${rate}-${i}`.padStart(16, '0');
    sentMs.set(stamp, performance.now());
    writes.push(put(keyOf(prefix, (i * 7919) % keys), stamp.padEnd(valueBytes, '.')));
  }
  await Promise.all(writes);
  await sleep(1000);
  const { user, system } = process.cpuUsage(before);
  stopping.abort();
  await reading;
  return { delays: delays.sort((a, b) => a - b), cpuMs: (user + system) / 1000 };
}

function keyOf(prefix: string, i: number): string {
  return `${prefix}10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
}

function value(): string {
  return 'v'.repeat(valueBytes);
}

function show(delays: readonly number[]): string {
  const at = (part: number): string => (delays[Math.floor(delays.length * part)] ?? NaN).toFixed(1);
  return `${at(0.5)} / ${at(0.99)} (${delays.length} seen)`;
}
