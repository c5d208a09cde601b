import type { Clock } from '../../../runtime/clock/index.ts';
import type { Logger } from '../../../runtime/log/index.ts';
import type { Engine } from '../../contract/index.ts';
import type { ResponseHeader } from '../wire/index.ts';

/** The etcd whose behaviour this API copies; clients decide by it what they may use. */
export const compatibleVersion = '3.6.16';
export const clusterVersion = '3.6.0';
/** What `/version` and Status name as the storage. */
export const storageName = 'isthmus';
/** There is one member and never an election; etcd's first term is not 0 either. */
const raftTerm = 1n;

export interface ServeContextOptions {
  readonly engine: Engine;
  readonly log: Logger;
  readonly clock: Clock;
  readonly memberName?: string;
  readonly progressIntervalMs?: number;
  readonly maxUnsentBytes?: number;
}

/** A stream that lasts until somebody ends it. */
export interface LastingStream {
  /** Ends it with etcd's "server stopped". */
  stop(): void;
}

/** What all calls of one server share. */
export class ServeContext {
  readonly engine: Engine;
  readonly log: Logger;
  readonly clock: Clock;
  readonly memberName: string;
  readonly progressIntervalMs: number;
  readonly maxUnsentBytes: number;
  clientUrls: readonly string[] = [];
  readonly lasting = new Set<LastingStream>();
  /** For the metrics: calls by method and code, watchers now, pauses of slow ones. */
  readonly calls = new Map<string, number>();
  watchers = 0;
  pauses = 0;
  #closing = false;

  constructor(options: ServeContextOptions) {
    this.engine = options.engine;
    this.log = options.log;
    this.clock = options.clock;
    this.memberName = options.memberName ?? 'isthmus';
    this.progressIntervalMs = options.progressIntervalMs ?? 600_000;
    this.maxUnsentBytes = options.maxUnsentBytes ?? 1024 * 1024;
  }

  get closing(): boolean {
    return this.#closing;
  }

  /** Bound, so that a handler may take it out of the context. */
  readonly header = (revision: number): ResponseHeader => ({
    clusterId: this.engine.clusterId,
    memberId: this.engine.memberId,
    revision,
    raftTerm,
  });

  count(method: string, code: number): void {
    const key = `${method} ${code}`;
    this.calls.set(key, (this.calls.get(key) ?? 0) + 1);
  }

  close(): void {
    this.#closing = true;
    for (const stream of this.lasting) stream.stop();
  }
}
