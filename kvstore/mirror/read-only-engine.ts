import { permissionDenied } from '../auth/index.ts';
import {
  type Engine,
  EngineFacts,
  type EngineWatcher,
  type HeldRevision,
  type LeaseInfo,
  type RangeRequest,
  type RangeResponse,
  type Reader,
  type TxnRequest,
  type TxnResponse,
  type WatchRequest,
  type WatchSink,
} from '../contract/index.ts';
import { onlyReads } from '../engine/index.ts';

/**
 * An engine that may be read by everybody and written to by nobody who comes through here. Transactions that only read
 * pass, as `etcdctl` and clients use them.
 */
export class ReadOnlyEngine extends EngineFacts implements Engine {
  range(request: RangeRequest, reader?: Reader): Promise<RangeResponse> {
    return this.engine.range(request, reader);
  }

  async put(): Promise<never> {
    throw permissionDenied();
  }

  async deleteRange(): Promise<never> {
    throw permissionDenied();
  }

  async txn(request: TxnRequest, reader?: Reader): Promise<TxnResponse> {
    if (!onlyReads(request)) throw permissionDenied();
    return this.engine.txn(request, reader);
  }

  async compact(): Promise<never> {
    throw permissionDenied();
  }

  hold(revision?: number): HeldRevision {
    return this.engine.hold(revision);
  }

  watch(request: WatchRequest, sink: WatchSink): EngineWatcher {
    return this.engine.watch(request, sink);
  }

  async leaseGrant(): Promise<never> {
    throw permissionDenied();
  }

  async leaseRevoke(): Promise<never> {
    throw permissionDenied();
  }

  leaseKeepAlive(id: bigint): Promise<{ readonly id: bigint; readonly ttl: number; readonly revision: number }> {
    return this.engine.leaseKeepAlive(id);
  }

  leaseTimeToLive(id: bigint, keys: boolean, reader?: Reader): Promise<LeaseInfo> {
    return this.engine.leaseTimeToLive(id, keys, reader);
  }

  leases(): Promise<readonly bigint[]> {
    return this.engine.leases();
  }

  leaseKeys(id: bigint, reader?: Reader): Promise<readonly Uint8Array[]> {
    return this.engine.leaseKeys(id, reader);
  }
}
