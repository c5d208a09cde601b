import { parseDuration } from '../../runtime/options/index.ts';
import type { EtcdSessionOptions, RequestLimits } from './session/index.ts';

/** What of an etcd client can be tuned by options with Cilium's names (`--kvstore-opt etcd.qps=20`). */
export type EtcdTuning = Pick<EtcdSessionOptions, 'callTimeoutMs' | 'pingIntervalMs' | 'pingTimeoutMs'> & {
  readonly limits: RequestLimits;
  /** Entries asked for at a time by a listing; as many as make some 16 MiB unless told. */
  readonly maxPage?: number;
};

/** An option that cannot be meant. */
export class EtcdTuningError extends Error {
  override readonly name = 'EtcdTuningError';
  readonly code = 'ETCD_TUNING';
  readonly option: string;

  constructor(option: string, problem: string) {
    super(`${option}: ${problem}`);
    this.option = option;
  }
}

/** Cilium's default (`cilium/cilium:pkg/kvstore/etcd.go`). */
const defaultQps = 20;
/** etcd ends connections that send a PING more often than every 5 s. */
const leastHeartbeatMs = 5500;

type Draft = { -readonly [K in keyof EtcdTuning]?: EtcdTuning[K] | undefined } & {
  qps?: number;
  bootstrapQps?: number;
  maxInflight?: number;
};

interface Option {
  readonly help: string;
  readonly read: (draft: Draft, text: string, name: string) => void;
}

/**
 * The options and what they do. Two defaults differ from Cilium's: its keep-alive of 15 s and 25 s notices a hang after
 * 40 s, ours of 6 s and 3 s after 9; and pages of 256 keys (its `etcd.limit`) cost an etcd time that grows with the square
 * of the number of keys, so ours are sized in bytes unless told.
 */
export const etcdTuningOptions: Readonly<Record<string, Option>> = {
  'etcd.qps': {
    help: 'Requests per second; default 20',
    read: (draft, text, name) => void (draft.qps = wholeNumber(name, text, 1)),
  },
  'etcd.bootstrapQps': {
    help: 'Requests per second until the process has started up; default: as etcd.qps',
    read: (draft, text, name) => void (draft.bootstrapQps = wholeNumber(name, text, 1)),
  },
  'etcd.maxInflight': {
    help: 'Requests that wait for their answers at a time; default: as etcd.qps',
    read: (draft, text, name) => void (draft.maxInflight = wholeNumber(name, text, 1)),
  },
  'etcd.limit': {
    help: 'Entries a page of a listing, 0 for no limit; default: as many as make some 16 MiB',
    read: (draft, text, name) => {
      const limit = wholeNumber(name, text, 0);
      draft.maxPage = limit === 0 ? undefined : limit;
    },
  },
  'etcd.keepaliveHeartbeat': {
    help: 'A PING goes out this often while calls are open, at least 5.5s; default 6s',
    read: (draft, text, name) => void (draft.pingIntervalMs = duration(name, text, leastHeartbeatMs)),
  },
  'etcd.keepaliveTimeout': {
    help: 'A connection that does not answer a PING for so long is given up; default 3s',
    read: (draft, text, name) => void (draft.pingTimeoutMs = duration(name, text, 100)),
  },
  'etcd.operationTimeout': {
    help: 'A request that is not answered in so long fails (not one of Cilium’s options); default 10s',
    read: (draft, text, name) => void (draft.callTimeoutMs = duration(name, text, 100)),
  },
};

/** Reads `name=value` texts; a later one overrides an earlier one. @throws {EtcdTuningError} */
export function parseEtcdTuning(texts: readonly string[] = []): EtcdTuning {
  const draft: Draft = {};
  for (const text of texts) {
    const at = text.indexOf('=');
    const name = at < 0 ? text : text.slice(0, at);
    const option = Object.hasOwn(etcdTuningOptions, name) ? etcdTuningOptions[name] : undefined;
    if (!option)
      throw new EtcdTuningError(
        name,
        `there is no such option; there are ${Object.keys(etcdTuningOptions).join(', ')}`,
      );
    if (at < 0) throw new EtcdTuningError(name, `expected ${name}=VALUE`);
    option.read(draft, text.slice(at + 1), name);
  }
  const { qps = defaultQps, bootstrapQps, maxInflight = qps, ...rest } = draft;
  const limits = { qps, maxInflight, ...(bootstrapQps === undefined ? {} : { bootstrapQps }) };
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  return { ...given, limits };
}

function wholeNumber(name: string, text: string, least: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : -1;
  if (value < least)
    throw new EtcdTuningError(name, `expected a whole number of at least ${least}, not ${quoted(text)}`);
  return value;
}

function duration(name: string, text: string, leastMs: number): number {
  let ms = -1;
  try {
    ms = parseDuration(text);
  } catch {
    // Told below, together with what is too short.
  }
  if (ms < leastMs)
    throw new EtcdTuningError(name, `expected a duration of at least ${leastMs}ms such as 15s, not ${quoted(text)}`);
  return ms;
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 40));
}
