import type { Clock } from '../../../runtime/clock/index.ts';
import type { Logger } from '../../../runtime/log/index.ts';
import type { Users } from '../../auth/index.ts';
import type { Engine } from '../../contract/index.ts';
import type { ResponseHeader } from '../wire/index.ts';
import { Clients } from './clients.ts';
import { GrantedLeases } from './granted-leases.ts';
import { HeldCalls } from './held-calls.ts';
import { type ServeLimits, defaultLimits } from './limits.ts';
import { Turnstile } from './turnstile.ts';

/** The etcd whose behaviour this API copies; clients decide by it what they may use. */
export const compatibleVersion = '3.6.16';
export const clusterVersion = '3.6.0';
/** What `/version` and Status name as the storage. */
export const storageName = 'isthmus';
/** There is one member and never an election; etcd's first term is not 0 either. */
const raftTerm = 1n;
const wideReads = 32;

export interface ServeContextOptions {
  readonly engine: Engine;
  readonly log: Logger;
  readonly clock: Clock;
  readonly users?: Users;
  readonly memberName?: string;
  readonly progressIntervalMs?: number;
  readonly limits?: Partial<ServeLimits>;
}

/** What all clients of one server share. */
export class ServeContext {
  readonly engine: Engine;
  readonly log: Logger;
  readonly clock: Clock;
  readonly users: Users | undefined;
  readonly memberName: string;
  readonly progressIntervalMs: number;
  readonly limits: ServeLimits;
  readonly clients: Clients;
  readonly held: HeldCalls;
  readonly granted: GrantedLeases;
  /** Reads of ranges, of all clients, at a time. */
  readonly wide = new Turnstile(wideReads);
  clientUrls: readonly string[] = [];
  /** For the metrics: calls by method and code, watchers now, pauses of slow ones. */
  readonly calls = new Map<string, number>();
  watchers = 0;
  pauses = 0;
  /** Bytes that clients have not taken yet. */
  unsentBytes = 0;
  /** Bytes of requests that are incomplete or not answered yet. */
  requestBytes = 0;
  closing = false;

  constructor(options: ServeContextOptions) {
    this.engine = options.engine;
    this.log = options.log;
    this.clock = options.clock;
    this.users = options.users;
    this.memberName = options.memberName ?? 'isthmus';
    this.progressIntervalMs = options.progressIntervalMs ?? 600_000;
    this.limits = { ...defaultLimits, ...options.limits };
    this.clients = new Clients(this.limits, options);
    this.held = new HeldCalls(options.clock);
    this.granted = new GrantedLeases(options.engine, options.clock, this.limits.maxLeasesPerUser);
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
}
