import * as cluster from './cluster.ts';
import * as kv from './kv.ts';
import * as lease from './lease.ts';
import type { Codec } from './message.ts';
import * as watch from './watch.ts';

/** One call: its path and both messages. */
export interface Method<RequestOut, RequestIn, ResponseOut, ResponseIn> {
  /** As HTTP/2 names it: `/etcdserverpb.KV/Range`. */
  readonly path: string;
  readonly request: Codec<RequestOut, RequestIn>;
  readonly response: Codec<ResponseOut, ResponseIn>;
}

function method<A, B, C, D>(path: string, request: Codec<A, B>, response: Codec<C, D>): Method<A, B, C, D> {
  return { path: `/etcdserverpb.${path}`, request, response };
}

/** The calls of etcd's `rpc.proto` that we make or answer. */
export const methods = {
  range: method('KV/Range', kv.rangeRequest, kv.rangeResponse),
  put: method('KV/Put', kv.putRequest, kv.putResponse),
  deleteRange: method('KV/DeleteRange', kv.deleteRangeRequest, kv.deleteRangeResponse),
  txn: method('KV/Txn', kv.txnRequest, kv.txnResponse),
  compact: method('KV/Compact', kv.compactionRequest, kv.compactionResponse),
  /** Streams both ways. */
  watch: method('Watch/Watch', watch.watchRequest, watch.watchResponse),
  leaseGrant: method('Lease/LeaseGrant', lease.leaseGrantRequest, lease.leaseGrantResponse),
  leaseRevoke: method('Lease/LeaseRevoke', lease.leaseRevokeRequest, lease.leaseRevokeResponse),
  /** Streams both ways. */
  leaseKeepAlive: method('Lease/LeaseKeepAlive', lease.leaseKeepAliveRequest, lease.leaseKeepAliveResponse),
  leaseTimeToLive: method('Lease/LeaseTimeToLive', lease.leaseTimeToLiveRequest, lease.leaseTimeToLiveResponse),
  leaseLeases: method('Lease/LeaseLeases', lease.leaseLeasesRequest, lease.leaseLeasesResponse),
  memberList: method('Cluster/MemberList', cluster.memberListRequest, cluster.memberListResponse),
  alarm: method('Maintenance/Alarm', cluster.alarmRequest, cluster.alarmResponse),
  status: method('Maintenance/Status', cluster.statusRequest, cluster.statusResponse),
  defragment: method('Maintenance/Defragment', cluster.defragmentRequest, cluster.defragmentResponse),
  hashKv: method('Maintenance/HashKV', cluster.hashKvRequest, cluster.hashKvResponse),
  /** Streams its answer. */
  snapshot: method('Maintenance/Snapshot', cluster.snapshotRequest, cluster.snapshotResponse),
  authenticate: method('Auth/Authenticate', cluster.authenticateRequest, cluster.authenticateResponse),
  authStatus: method('Auth/AuthStatus', cluster.authStatusRequest, cluster.authStatusResponse),
} as const;
