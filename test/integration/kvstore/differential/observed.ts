import { setTimeout as sleep } from 'node:timers/promises';
import { type Method, FrameReader, decode, encodeFrame, methods } from '../../../../kvstore/etcd/wire/index.ts';
import { RawEtcd, type RawWatch, type WatchResponse } from '../../../support/raw-etcd.ts';
import type { Operation } from './operation.ts';

export interface Outcome {
  readonly ok: boolean;
  readonly answer: unknown;
  /** Of the answer's header; 0 when there was none. */
  readonly revision: number;
}

/** One server as the test sees it: what it answers, without what two servers may rightly differ in. */
export class ObservedServer implements AsyncDisposable {
  readonly #raw: RawEtcd;
  readonly #watch: RawWatch;
  /** What each watch was told, in order. */
  readonly #seen = new Map<bigint, string[]>();
  readonly #live = new Set<bigint>();
  /** Watches that compaction ended and that we cancel in return, as clients do. */
  readonly #cancelling = new Set<bigint>();
  #created = 0;
  #canceled = 0;
  #progress = 0;

  constructor(port: number) {
    this.#raw = new RawEtcd(port);
    this.#watch = this.#raw.watch((response) => this.#take(response));
  }

  /** Does one operation and gives its answer in comparable form. */
  async apply(operation: Operation): Promise<Outcome> {
    switch (operation.kind) {
      case 'range':
        return this.#call(methods.range, operation.request);
      case 'put':
        return this.#call(methods.put, operation.request);
      case 'delete':
        return this.#call(methods.deleteRange, operation.request);
      case 'txn':
        return this.#call(methods.txn, operation.request);
      case 'compact':
        return this.#call(methods.compact, operation.request);
      case 'grant':
        return this.#call(methods.leaseGrant, operation.request);
      case 'revoke':
        return this.#call(methods.leaseRevoke, operation.request);
      case 'time-to-live':
        return this.#call(methods.leaseTimeToLive, operation.request);
      case 'leases':
        return this.#call(methods.leaseLeases, {});
      case 'keep-alive':
        return this.#keepAlive(operation.request.id ?? 0n);
      case 'watch': {
        const before = this.#created;
        this.#watch.send({ create: operation.request });
        await until(() => this.#created > before);
        return { ok: true, answer: undefined, revision: 0 };
      }
      case 'cancel-watch': {
        const before = this.#canceled;
        const live = this.#live.has(operation.request.watchId ?? 0n);
        this.#watch.send({ cancel: operation.request });
        if (live) await until(() => this.#canceled > before);
        return { ok: live, answer: live, revision: 0 };
      }
    }
  }

  /** Waits until the lease is gone, and gives the keys that are left in `span`. */
  async untilExpired(id: bigint, span: { readonly key: Uint8Array; readonly rangeEnd: Uint8Array }): Promise<unknown> {
    const gone = async (): Promise<boolean> => {
      const { response } = await this.#raw.call(methods.leaseTimeToLive, { id });
      return response?.ttl === -1;
    };
    for (const deadline = performance.now() + 30_000; !(await gone()) && performance.now() < deadline;) await sleep(50);
    return (await this.#call(methods.range, span)).answer;
  }

  /** Waits until every watch has been told everything up to `revision`, and gives what each was told so far. */
  async watched(revision: number): Promise<Readonly<Record<string, readonly string[]>>> {
    // etcd leaves a progress request unanswered while a watch is behind, and asking again is what its client does.
    for (let attempt = 0; attempt < 100 && (this.#progress < revision || this.#cancelling.size > 0); attempt++) {
      if (this.#live.size === 0 && this.#cancelling.size === 0) break;
      this.#watch.send({ progress: {} });
      await until(() => this.#progress >= revision && this.#cancelling.size === 0, 50);
    }
    return Object.fromEntries([...this.#seen].map(([id, lines]) => [String(id), [...lines]]));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#raw[Symbol.asyncDispose]();
  }

  async #call<Out extends { readonly header?: { readonly revision: number } | undefined }, In>(
    method: Method<unknown, In, Out, never>,
    request: In,
  ): Promise<Outcome> {
    const { code, message, response } = await this.#raw.call(method, request);
    const answer = code === 0 ? comparable(response) : { code, message };
    return { ok: code === 0, answer, revision: response?.header?.revision ?? 0 };
  }

  async #keepAlive(id: bigint): Promise<Outcome> {
    const stream = this.#raw.open(methods.leaseKeepAlive.path);
    const frames = new FrameReader({ maxBytes: 1e6 });
    const messages: Uint8Array[] = [];
    stream.on('data', (chunk: Buffer) => messages.push(...frames.push(chunk).map((one) => one.slice())));
    stream.end(encodeFrame(methods.leaseKeepAlive.request, { id }));
    await new Promise((resolve) => stream.once('close', resolve));
    const decoded = messages.map((one) => decode(methods.leaseKeepAlive.response, one));
    return { ok: (decoded[0]?.ttl ?? 0) > 0, answer: comparable(decoded), revision: decoded[0]?.header?.revision ?? 0 };
  }

  #take(response: WatchResponse): void {
    const { watchId, created, canceled, compactRevision, cancelReason, events } = response;
    const revision = response.header?.revision ?? 0;
    if (created) this.#created += 1;
    if (canceled && !created && compactRevision === 0) this.#canceled += 1;
    if (created && !canceled) this.#live.add(watchId);
    if (canceled) this.#live.delete(watchId);
    if (canceled && compactRevision > 0) {
      this.#cancelling.add(watchId);
      this.#watch.send({ cancel: { watchId } });
    } else if (canceled) this.#cancelling.delete(watchId);

    // Which write the header of these had seen is chance; only of a compacted watch it is fixed (0).
    if (created || canceled)
      this.#tell(watchId, {
        created,
        canceled,
        compactRevision,
        cancelReason,
        ...(compactRevision ? { revision } : {}),
      });
    else if (events.length === 0) this.#progress = Math.max(this.#progress, revision);
    for (const event of events) this.#tell(watchId, comparable(event));
  }

  #tell(watchId: bigint, what: unknown): void {
    let lines = this.#seen.get(watchId);
    if (!lines) this.#seen.set(watchId, (lines = []));
    lines.push(JSON.stringify(what));
  }
}

async function until(condition: () => boolean, atMostMs = 5000): Promise<void> {
  const deadline = performance.now() + atMostMs;
  while (!condition() && performance.now() < deadline) await sleep(1);
}

/** A value without cluster, member and term, its bytes as text, and lists without order of their own sorted. */
export function comparable(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1');
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return value.map(comparable);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value)
    .filter(([name]) => !['clusterId', 'memberId', 'raftTerm'].includes(name))
    .map(([name, inner]) => {
      // Of a lease the seconds left depend on when one asks; its keys and the leases come in no promised order.
      if (name === 'ttl' && 'grantedTtl' in value) return [name, Number(inner) < 0 ? inner : 'some'];
      if (name === 'keys' || name === 'leases')
        return [name, (comparable(inner) as unknown[]).map((one) => JSON.stringify(one)).toSorted()];
      return [name, comparable(inner)];
    });
  return Object.fromEntries(entries);
}
