import type { Engine } from '../../../../../kvstore/contract/index.ts';
import { type ServeEtcdOptions, serveEtcd } from '../../../../../kvstore/etcd/serve/index.ts';
import { methods } from '../../../../../kvstore/etcd/wire/index.ts';
import { MemoryEngine } from '../../../../../kvstore/memory/index.ts';
import { type Clock, systemClock } from '../../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../../runtime/log/index.ts';
import { RawEtcd, type RawEtcdOptions, type RawWatch, type WatchResponse } from '../../../../support/raw-etcd.ts';
import { until } from '../../../../support/until.ts';

/** An in-memory engine behind the API, and a client of it. */
export interface Rig extends AsyncDisposable {
  readonly engine: Engine;
  readonly port: number;
  readonly client: RawEtcd;
  /** Ends the server alone. */
  close(): Promise<void>;
}

export async function openRig(
  options: Partial<ServeEtcdOptions> & { readonly clock?: Clock; readonly wrap?: (engine: Engine) => Engine } = {},
  clientOptions: RawEtcdOptions = {},
): Promise<Rig> {
  const clock = options.clock ?? systemClock;
  const { wrap = (same) => same, ...others } = options;
  const engine = wrap(new MemoryEngine({ clock }));
  const server = await serveEtcd({
    engine,
    listen: { host: '127.0.0.1', port: 0 },
    log: silentLogger,
    clock,
    ...others,
  });
  const { port } = server.address();
  const client = new RawEtcd(port, clientOptions);
  return {
    engine,
    port,
    client,
    close: async () => await server[Symbol.asyncDispose](),
    [Symbol.asyncDispose]: async () => {
      await client[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
    },
  };
}

export const of = (text: string): Uint8Array => new TextEncoder().encode(text);
export const textOf = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

export async function put(rig: Rig, key: string, value = ''): Promise<number> {
  const { response } = await rig.client.call(methods.put, { key: of(key), value: of(value) });
  return response?.header?.revision ?? 0;
}

/** Answers of a watch stream as they come, in short words. */
export class Told {
  readonly responses: WatchResponse[] = [];
  readonly watch: RawWatch;

  constructor(client: RawEtcd) {
    this.watch = client.watch((response) => this.responses.push(response));
  }

  /** Waits for the answer number `count`, counted from one. */
  async until(count: number): Promise<readonly string[]> {
    await until(() => this.responses.length >= count);
    return this.lines;
  }

  get lines(): readonly string[] {
    return this.responses.map((response) => {
      const words = [`watch ${response.watchId} r${response.header?.revision}`];
      if (response.created) words.push('created');
      if (response.canceled) words.push('canceled');
      if (response.compactRevision) words.push(`compacted ${response.compactRevision}`);
      if (response.cancelReason) words.push(response.cancelReason);
      if (response.fragment) words.push('fragment');
      for (const { type, kv, prevKv } of response.events) {
        const before = prevKv ? ` before ${textOf(prevKv.value)}` : '';
        words.push(`${type} ${textOf(kv?.key)}=${textOf(kv?.value)}@${kv?.modRevision}${before}`);
      }
      return words.join(', ');
    });
  }
}
