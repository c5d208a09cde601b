import { setTimeout as sleep } from 'node:timers/promises';
import { methods } from '../../../../kvstore/etcd/wire/index.ts';
import { RawEtcd } from '../../../support/raw-etcd.ts';

const key = Buffer.from('bystander');

/**
 * A well-behaved client next to a bad one: it puts a number again and again, reads it back, and watches it. Whatever it is
 * refused, does not get or gets wrong is a complaint.
 */
export class Bystander implements AsyncDisposable {
  readonly complaints: string[] = [];
  puts = 0;
  readonly #client: RawEtcd;
  readonly #seen = new Set<string>();
  #stopping = false;
  readonly #running: Promise<void>;

  constructor(port: number) {
    this.#client = new RawEtcd(port);
    const watch = this.#client.watch((response) => {
      for (const { kv } of response.events) this.#seen.add(Buffer.from(kv?.value ?? []).toString());
    });
    watch.send({ create: { key, filters: ['no-delete'] } });
    this.#running = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    await this.#running;
    const missing = (): string[] =>
      Array.from({ length: this.puts }, (_, i) => String(i)).filter((n) => !this.#seen.has(n));
    for (const deadline = performance.now() + 10_000; missing().length > 0 && performance.now() < deadline;)
      await sleep(20);
    if (missing().length > 0) this.complaints.push(`its watch was not told of ${missing().slice(0, 5).join(', ')}`);
    await this.#client[Symbol.asyncDispose]();
  }

  async #run(): Promise<void> {
    while (!this.#stopping && this.complaints.length === 0) {
      const value = String(this.puts);
      const put = await this.#client.call(methods.put, { key, value: Buffer.from(value) });
      if (put.code !== 0) return void this.complaints.push(`put ${value} ended with ${put.code} ${put.message}`);
      this.puts += 1;
      const got = await this.#client.call(methods.range, { key });
      // Whoever fuzzes deletes everything now and then.
      const read = got.response?.kvs[0]?.value;
      if (got.code !== 0 || (read && Buffer.from(read).toString() !== value))
        return void this.complaints.push(`read of ${value} gave ${got.code} ${got.message}`);
      await sleep(5);
    }
  }
}
