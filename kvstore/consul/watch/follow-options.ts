import type { Clock } from '../../../runtime/clock/index.ts';
import type { Logger } from '../../../runtime/log/index.ts';
import type { ConsulHttp } from '../http/index.ts';
import type { ShardBudget } from './shard-budget.ts';

export interface FollowOptions {
  readonly http: ConsulHttp;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly prefix: string;
  readonly waitMs: number;
  readonly pageSize: number;
  /** Beyond this many keys a warning is due: Consul does not carry them well. */
  readonly largePrefixKeys: number;
  /** From this many keys on a prefix is followed in parts. */
  readonly shardKeys: number;
  readonly shards: ShardBudget;
  /** Whether the journal of our own writers is read. */
  readonly journal: boolean;
  /** Asks which store this is; undefined if it cannot be known. */
  readonly identify: (signal: AbortSignal) => Promise<string | undefined>;
  readonly signal: AbortSignal;
}
