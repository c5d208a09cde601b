import { permissionDenied } from '../../auth/index.ts';
import type { EngineEvent, EngineWatcher, KeyRange } from '../../contract/index.ts';
import type { Timer } from '../../../runtime/clock/index.ts';
import { type Decoded, type Encodable, decode, encodeFrame, methods, type watchCreateRequest } from '../wire/index.ts';
import { maxParts } from './limits.ts';
import type { Client, LastingStream } from './client.ts';
import { type GrpcCall, statusOf } from './grpc-call.ts';
import { tooManyRequests } from './refusals.ts';
import type { ServeContext } from './serve-context.ts';
import { encodeEvents } from './watch-events.ts';

type CreateRequest = Decoded<typeof watchCreateRequest>;
type Response = Encodable<typeof methods.watch.response>;

/** Of answers that belong to no watch, or to all. */
const noWatch = -1n;
/** How often a progress request looks again while some watcher has history to replay. */
const progressRetryMs = 20;
/** So many may be looked at for every progress request. */
const fewWatches = 64;
/** Bytes that a stream may have unsent where many streams of its connection have. */
const crowdedShare = 64 * 1024;
/** Of a watch's key and of its range end; the longest key of the embedded store has 1,978. */
const maxWatchedKeyBytes = 4 * 1024;
/** etcd gives the whole of gRPC's error as the reason here. */
const denied = `rpc error: code = PermissionDenied desc = ${permissionDenied().message}`;

interface Watch {
  readonly id: bigint;
  readonly range: KeyRange;
  readonly startRevision: number;
  readonly fragment: boolean;
  /** Absent while the engine is being asked, and after compaction ended the watch. */
  watcher: EngineWatcher | undefined;
  /** Absent: no notices wanted. False: events went out since the last one was due, which say as much. */
  progressDue: boolean | undefined;
}

interface ProgressFound {
  readonly revision: number;
  readonly says: 'synced' | 'nothing';
}

/** The `Watch` call: many watches on one stream. */
export function watchStream(call: GrpcCall): { message(payload: Uint8Array): void } {
  const { client } = call;
  const stream = new WatchStream(client, call);
  client.lasting.add(stream);
  call.stream.once('close', () => {
    client.lasting.delete(stream);
    stream.close();
  });
  return { message: (payload) => stream.message(payload) };
}

class WatchStream implements LastingStream {
  readonly #client: Client;
  readonly #context: ServeContext;
  readonly #call: GrpcCall;
  readonly #watches = new Map<bigint, Watch>();
  #nextId = 0n;
  #paused = false;
  /** A progress request that waits until every watcher is up to date. */
  #progressWaits = false;
  /** What was found for a progress request; good until there is another revision or a watch comes, goes or pauses. */
  #found: ProgressFound | undefined;
  #lookedAtMs = -Infinity;
  #retry: Timer | undefined;
  #notices: Timer | undefined;
  #closed = false;

  constructor(client: Client, call: GrpcCall) {
    this.#client = client;
    this.#context = client.server;
    this.#call = call;
    call.begin();
    call.onPaid(() => this.#resume());
    this.#scheduleNotices();
  }

  message(payload: Uint8Array): void {
    const request = decode(methods.watch.request, payload, maxParts);
    if (request.create) this.#create(request.create);
    else if (request.cancel) this.#cancel(request.cancel.watchId);
    else if (request.progress) this.#answerProgress();
  }

  end(code: number, text: string): void {
    this.#call.finish(code, text);
  }

  /** Cancels what may not be read any more. */
  recheck(): void {
    for (const watch of this.#watches.values()) {
      if (this.#client.rights?.mayReadRange(watch.range) !== false) continue;
      this.#end(watch);
      this.#forget(watch);
      this.#send({ watchId: watch.id, canceled: true, cancelReason: denied });
    }
  }

  close(): void {
    this.#closed = true;
    this.#notices?.[Symbol.dispose]();
    this.#retry?.[Symbol.dispose]();
    for (const watch of this.#watches.values()) {
      this.#end(watch);
      this.#forget(watch);
    }
  }

  #create(request: CreateRequest): void {
    const refusal = this.#refusal(request);
    if (refusal !== undefined)
      return this.#send({ watchId: noWatch, created: true, canceled: true, cancelReason: refusal });
    const watch: Watch = {
      id: this.#chooseId(request.watchId),
      range: rangeOf(request),
      startRevision: request.startRevision,
      fragment: request.fragment,
      watcher: undefined,
      progressDue: request.progressNotify ? true : undefined,
    };
    this.#watches.set(watch.id, watch);
    this.#found = undefined;
    this.#client.watchOpened();
    // "created" goes out before the engine is asked, since it may hand over history at once.
    this.#send({ watchId: watch.id, created: true });
    try {
      this.#start(watch, request);
    } catch (error) {
      this.#forget(watch);
      this.#send({ watchId: watch.id, canceled: true, cancelReason: statusOf(error).text });
    }
  }

  /** etcd's reasons, in etcd's words (`storage/mvcc/watcher.go`). */
  #refusal(request: CreateRequest): string | undefined {
    if (this.#client.rights?.mayReadRange(rangeOf(request)) === false) return denied;
    if (this.#client.watchesEnough) return tooManyRequests().message;
    // A watch outlives its request, and no key is that long.
    if (Math.max(request.key.length, request.rangeEnd.length) > maxWatchedKeyBytes)
      return 'etcdserver: request is too large';
    if (request.startRevision < 0) return 'etcdserver: mvcc: required revision has been compacted';
    const { key, rangeEnd } = request;
    const toTheEnd = rangeEnd.length === 1 && rangeEnd[0] === 0;
    if (rangeEnd.length > 0 && !toTheEnd && Buffer.compare(watchedKey(key), rangeEnd) >= 0)
      return 'mvcc: watcher range is empty';
    if (request.watchId !== 0n && this.#watches.has(request.watchId))
      return 'mvcc: duplicate watch ID provided on the WatchStream';
    return undefined;
  }

  #chooseId(wanted: bigint): bigint {
    if (wanted !== 0n) return wanted;
    while (this.#watches.has(this.#nextId)) this.#nextId += 1n;
    return this.#nextId++;
  }

  #start(watch: Watch, request: CreateRequest): void {
    let over = false;
    const watcher = this.#client.engine.watch(
      {
        ...watch.range,
        startRevision: request.startRevision,
        prevKv: request.prevKv,
        noPut: request.filters.includes('no-put'),
        noDelete: request.filters.includes('no-delete'),
      },
      {
        owner: this.#client.tally,
        events: (events, revision) => this.#events(watch, events, revision),
        compacted: (compactRevision) => {
          over = true;
          this.#end(watch);
          // The id stays taken until the client cancels it, as in etcd. So does the header without a revision.
          this.#send({ header: this.#context.header(0), watchId: watch.id, canceled: true, compactRevision });
        },
        failed: (error) => {
          over = true;
          this.#end(watch);
          this.#forget(watch);
          this.#send({ watchId: watch.id, canceled: true, cancelReason: statusOf(error).text });
        },
      },
    );
    if (over) return watcher.cancel();
    watch.watcher = watcher;
    this.#found = undefined;
    this.#context.watchers += 1;
    if (this.#paused) watcher.pause();
  }

  #cancel(id: bigint): void {
    const watch = this.#watches.get(id);
    if (watch === undefined) return;
    this.#end(watch);
    this.#forget(watch);
    this.#send({ watchId: id, canceled: true });
  }

  /** Gives its id free. */
  #forget({ id }: Watch): void {
    if (this.#watches.delete(id)) this.#client.watchClosed();
  }

  #end(watch: Watch): void {
    if (watch.watcher === undefined) return;
    watch.watcher.cancel();
    watch.watcher = undefined;
    this.#found = undefined;
    this.#context.watchers -= 1;
  }

  #events(watch: Watch, events: readonly EngineEvent[], revision: number): void {
    if (this.#closed || !this.#watches.has(watch.id)) return;
    const header = this.#context.header(revision);
    for (const frame of encodeEvents({ header, watchId: watch.id, events, fragment: watch.fragment }))
      this.#call.send(frame);
    if (watch.progressDue !== undefined && events.length > 0) watch.progressDue = false;
    this.#pushBack();
  }

  #send(response: Response): void {
    const header = response.header ?? this.#context.header(this.#context.engine.revision);
    this.#call.send(encodeFrame(methods.watch.response, { ...response, header }));
    this.#pushBack();
  }

  /** Neither events nor answers pile up for a client that does not read: both its watchers and its requests wait. */
  #pushBack(): void {
    if (this.#paused || this.#call.unsentBytes <= this.#allowedBytes) return;
    this.#paused = true;
    this.#found = undefined;
    this.#context.pauses += 1;
    this.#call.hold('unsent');
    for (const { watcher } of this.#watches.values()) watcher?.pause();
  }

  /** Less, once the streams of the connection together have much unsent: each has its share. */
  get #allowedBytes(): number {
    const { maxUnsentBytes, maxUnsentPerConnection } = this.#context.limits;
    const crowded = this.#client.unsentPushes > maxUnsentPerConnection / 4;
    return crowded ? Math.min(crowdedShare, maxUnsentBytes) : maxUnsentBytes;
  }

  #resume(): void {
    if (!this.#paused || this.#closed || this.#call.unsentBytes > this.#allowedBytes / 2) return;
    this.#paused = false;
    this.#call.goOn('unsent');
    for (const { watcher } of this.#watches.values()) {
      // Resuming may hand over history at once and so pause everything again.
      if (this.#paused) break;
      watcher?.resume();
    }
  }

  /**
   * Answers a progress request for all watches once each has been given every event up to the answer's revision; etcd
   * leaves a request unanswered that comes too early, and its client asks again.
   */
  #answerProgress(): void {
    this.#progressWaits = true;
    if (this.#retry) return;
    // Thousands of requests come in one piece: thousands of watches are not looked at for each.
    const known = this.#found?.revision === this.#context.engine.revision;
    const soon = this.#context.clock.monotonicMs() - this.#lookedAtMs < progressRetryMs;
    if (known || !soon || this.#watches.size <= fewWatches) this.#retryProgress();
    else this.#retryLater();
  }

  #retryLater(): void {
    this.#retry = this.#context.clock.timer(progressRetryMs, () => this.#retryProgress());
  }

  #retryProgress(): void {
    this.#retry?.[Symbol.dispose]();
    this.#retry = undefined;
    if (!this.#progressWaits || this.#closed) return;
    const { revision } = this.#context.engine;
    if (this.#found?.revision !== revision) this.#found = this.#lookForProgress(revision);
    if (!this.#found) return this.#retryLater();
    this.#progressWaits = false;
    if (this.#found.says === 'synced') this.#send({ header: this.#context.header(revision), watchId: noWatch });
  }

  #lookForProgress(revision: number): ProgressFound | undefined {
    this.#lookedAtMs = this.#context.clock.monotonicMs();
    const open = [...this.#watches.values()].filter(({ watcher }) => watcher !== undefined);
    // As in etcd: nothing to say for no watch, or for one that waits for a later revision.
    if (open.length === 0 || open.some(({ startRevision }) => startRevision > revision))
      return { revision, says: 'nothing' };
    return !this.#paused && open.every(({ watcher }) => watcher?.synced) ? { revision, says: 'synced' } : undefined;
  }

  #scheduleNotices(): void {
    // A tenth of jitter, as in etcd: watches made together shall not be told together for ever.
    const waitMs = this.#context.progressIntervalMs * (1 + Math.random() / 10);
    this.#notices = this.#context.clock.timer(waitMs, () => {
      const { revision } = this.#context.engine;
      for (const watch of this.#watches.values()) {
        if (watch.progressDue === undefined) continue;
        const due = watch.progressDue && watch.watcher?.synced && watch.startRevision <= revision;
        if (due) this.#send({ header: this.#context.header(revision), watchId: watch.id });
        watch.progressDue = true;
      }
      this.#scheduleNotices();
    });
  }
}

function rangeOf({ key, rangeEnd }: CreateRequest): KeyRange {
  return { key: watchedKey(key), ...(rangeEnd.length > 0 ? { rangeEnd } : {}) };
}

/** No key means from the first one, which is a zero byte. */
function watchedKey(key: Uint8Array): Uint8Array {
  return key.length === 0 ? new Uint8Array([0]) : key;
}
