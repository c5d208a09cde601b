/** How much one client, or all of them, may make a server hold. */
export interface ServeLimits {
  /** Connections at a time; those beyond are closed at once. Default 8,192. */
  readonly maxConnections: number;
  /** … of one user, where users are known. Default 2,048. */
  readonly maxConnectionsPerUser: number;
  /** Calls open at a time on a connection; those beyond are refused by HTTP/2. Default 2,048. */
  readonly maxStreams: number;
  /** Watches at a time on a connection. Default 10,000. */
  readonly maxWatches: number;
  /** … of one user, where users are known. Default 100,000. */
  readonly maxWatchesPerUser: number;
  /** Leases that a user was granted and that live, where users are known and for all but root. Default 20,000. */
  readonly maxLeasesPerUser: number;
  /** Bytes of requests on a connection that are incomplete, not read or not answered yet. Default 64 MiB. */
  readonly maxRequestBytes: number;
  /** … on all connections together; beyond them one of the user with most is closed. Default 1 GiB. */
  readonly maxRequestBytesTotal: number;
  /** Bytes a watch stream may have unsent, with what Node holds for each message, before its watches pause. Default 2 MiB. */
  readonly maxUnsentBytes: number;
  /**
   * Bytes a connection may have unsent: beyond them reads are refused, and a connection whose watches alone have as much
   * is closed. One answer may be longer. Default 256 MiB.
   */
  readonly maxUnsentPerConnection: number;
  /** … all connections together; beyond them the one with most is closed. Default 1 GiB. */
  readonly maxUnsentTotal: number;
  /** Bytes of one answer, and of the rows that it is made of; a longer one is refused. Default 512 MiB. */
  readonly maxAnswerBytes: number;
  /** Calls that a client may give up at once, and then in each second, before its connection is closed. */
  readonly resets: { readonly burst: number; readonly perSecond: number };
}

const mebibyte = 1024 * 1024;

export const defaultLimits: ServeLimits = {
  maxConnections: 8192,
  maxConnectionsPerUser: 2048,
  maxStreams: 2048,
  maxWatches: 10_000,
  maxWatchesPerUser: 100_000,
  maxLeasesPerUser: 20_000,
  maxRequestBytes: 64 * mebibyte,
  maxRequestBytesTotal: 1024 * mebibyte,
  maxUnsentBytes: 2 * mebibyte,
  maxUnsentPerConnection: 256 * mebibyte,
  maxUnsentTotal: 1024 * mebibyte,
  maxAnswerBytes: 512 * mebibyte,
  // A client that gives up many calls at once (a cancelled context) is no attack.
  resets: { burst: 10_000, perSecond: 500 },
};

/** etcd's `--max-request-bytes` and the 512 kB that gRPC may add: a longer message is refused before it is read. */
export const maxMessageBytes = 1.5 * mebibyte + 512 * 1024;

/** Messages in a request: a transaction may have 8,192 operations and comparisons, an operation two of them. */
export const maxParts = 20_000;
/** A longer request may take milliseconds to be decoded: its user's turn is waited for. */
export const longRequestBytes = 16 * 1024;

/** Of the headers of one call, as HTTP/2 counts them. */
export const maxHeaderBytes = 16 * 1024;
