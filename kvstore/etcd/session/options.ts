import type { LookupFunction } from 'node:net';
import type { Clock } from '../../../runtime/clock/index.ts';
import type { Logger } from '../../../runtime/log/index.ts';
import type { TlsFiles } from '../../../runtime/tls/index.ts';
import type { RequestLimits } from './limiter.ts';

/** Where an etcd is, and who we are there. */
export interface EtcdTarget {
  /** `http://host:port`, `https://host:port`, or `host:port` (secure when any TLS file is given). Tried in random order. */
  readonly endpoints: readonly string[];
  readonly tls?: TlsFiles;
  readonly username?: string;
  readonly password?: string;
  /** The password as it stands now where it was found, asked for when a log-in is refused; undefined where it cannot be told. */
  readonly rereadPassword?: () => Promise<string | undefined>;
}

export interface EtcdSessionOptions extends EtcdTarget {
  readonly clock: Clock;
  readonly log: Logger;
  /** A call, waiting for a connection included, fails after this long; 10 s unless told. */
  readonly callTimeoutMs?: number;
  /** A connection attempt fails after this long; 5 s unless told. */
  readonly dialTimeoutMs?: number;
  /** While calls are open, a PING goes out this often; 6 s unless told, and etcd wants at least 5.5 s. */
  readonly pingIntervalMs?: number;
  /** A PING without answer, or any other byte, ends the connection after this long; 3 s unless told. */
  readonly pingTimeoutMs?: number;
  /** Sticks to the first store id seen: an answer from another store makes every call fail, until a new session is made. */
  readonly pinStoreId?: boolean;
  /** How much may be asked of the store; everything unless told. Renewals of leases and log-ins always go through. */
  readonly limits?: RequestLimits | undefined;
  /** Turns an endpoint's name into addresses, anew for every connection; the system does unless told. */
  readonly lookup?: LookupFunction | undefined;
  readonly random?: () => number;
}
