import type { LookupFunction } from 'node:net';
import type { Clock } from '../../runtime/clock/index.ts';
import type { Logger } from '../../runtime/log/index.ts';
import type { TlsFiles } from '../../runtime/tls/index.ts';

/** Where Consul is, who we are there, and how much of it we use. */
export interface ConsulStoreOptions {
  /**
   * `http://host:port`, `https://host:port` or `unix:///path/of/socket`; the agent of this machine first. Tried in
   * order. Secrets in them are refused.
   */
  readonly addresses: readonly string[];
  readonly tls?: TlsFiles;
  /** File that holds the ACL token; read again when the one in use is refused. */
  readonly tokenFile?: string;
  /** Environment variable that holds the ACL token, where no file does. */
  readonly tokenEnvironment?: string;
  readonly clock: Clock;
  readonly log: Logger;
  /**
   * A call, its repetitions included, fails after this long unless an answer has begun; 15 s unless told. An answer that has
   * begun may take as long as it needs, with no more than 10 s between two parts of it. Before the first answer, a call also asks
   * which store this is, for at most 2 s.
   */
  readonly callTimeoutMs?: number;
  /** How long a blocking query waits for a change; 10 s unless told. Strangers' recursive deletes show up this late. */
  readonly waitSeconds?: number;
  /** Name of the external catalog node that sessions are bound to; `isthmus` unless told. */
  readonly sessionNode?: string;
  /** Prefixes with more keys than this are warned about; 10,000 unless told. */
  readonly largePrefixKeys?: number;
  /** A prefix is followed in parts from this many keys on; 512 unless told. */
  readonly shardKeys?: number;
  /** Parts that are followed at once, over all watches; each takes a connection. 64 unless told. */
  readonly maxShards?: number;
  /** Whether our writes are told, and those of others read, by the journal; true unless told. */
  readonly journal?: boolean;
  /** Turns an address's name into addresses, anew for every connection; the system does unless told. */
  readonly lookup?: LookupFunction | undefined;
  readonly random?: () => number;
}
