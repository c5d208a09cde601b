import type { Bytes, CallOptions } from '../contract/index.ts';
import type { StoreKind } from './store-address.ts';

export interface StatusOptions extends CallOptions {
  /** Only keys that begin with this are counted. */
  readonly prefix?: Bytes;
  /** Counts what is there now, whatever that costs; else a number that lags behind does, where it is cheaper. */
  readonly exact?: boolean;
}

/** What a store says of itself when it is asked. */
export interface StoreStatus {
  readonly kind: StoreKind;
  readonly endpoint: string;
  /** The store's own id, in hex; unknown where a Consul has its certificate authority switched off. */
  readonly storeId: string | undefined;
  /** Version of the server, or of the API that the embedded store speaks. */
  readonly version: string | undefined;
  /** Undefined where nothing may be read that would tell. */
  readonly revision: number | undefined;
  /** Undefined where counting them is not allowed. */
  readonly keys: number | undefined;
  /** Why they were not counted. */
  readonly notCounted?: string;
  /** Bytes on disk, and those of them in use, where the store tells. */
  readonly sizeBytes: number | undefined;
  readonly sizeInUseBytes: number | undefined;
  /** Why the store takes no writes, or what its server is alarmed about; undefined when it is well. */
  readonly problem: string | undefined;
  /** How long the store took to answer. */
  readonly answerMs: number;
}
