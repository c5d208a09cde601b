import { alarmOf, alarmText } from './alarms.ts';
import { grpcStatus, methods } from '../wire/index.ts';
import { GrpcFailure } from './grpc-call.ts';
import { clusterVersion, compatibleVersion, storageName } from './serve-context.ts';
import { hashKeyValues } from './hash-kv.ts';
import { type UnaryCall, unaryCall } from './unary-call.ts';

/** Cluster, Maintenance and Auth, as far as a store of one member has something true to say. */
export const clusterCalls: readonly [string, UnaryCall][] = [
  unaryCall(methods.memberList, ({ engine, header, server: { memberName, clientUrls } }) => ({
    // As etcd's: members have no revision.
    header: header(0),
    members: [{ id: engine.memberId, name: memberName, peerUrls: [], clientUrls }],
  })),
  unaryCall(methods.status, async ({ engine, header }) => {
    const { dbSize, dbSizeInUse, dbSizeQuota = 0, problem } = await engine.status();
    const { revision } = engine;
    const answer = header(revision);
    return {
      header: answer,
      version: compatibleVersion,
      // `etcdctl endpoint status` divides by it.
      dbSize: Math.max(dbSize, 1),
      dbSizeInUse,
      dbSizeQuota,
      leader: engine.memberId,
      // There is no raft log; what stands in for its index only has to grow with every write.
      raftIndex: BigInt(revision),
      raftAppliedIndex: BigInt(revision),
      raftTerm: answer.raftTerm,
      errors: problem ? [`memberID:${engine.memberId} alarm:${alarmText(problem)}`, problem.message] : [],
      storageVersion: `${storageName} ${clusterVersion}`,
    };
  }),
  unaryCall(methods.alarm, async (client, request) => {
    const { engine, header } = client;
    if (request.action !== 'get') client.demandRoot();
    if (request.action === 'activate' || request.action === 'unrecognized')
      throw new GrpcFailure(grpcStatus.unimplemented, 'isthmus: alarms cannot be raised by clients');
    // `etcdctl endpoint health` reads them. An alarm goes by itself with what raised it, so none is ever disarmed.
    const { problem } = await engine.status();
    const alarms = problem && request.action === 'get' ? [{ memberId: engine.memberId, alarm: alarmOf(problem) }] : [];
    return { header: header(engine.revision), alarms };
  }),
  unaryCall(methods.defragment, (client) => {
    client.demandRoot();
    // There is nothing to do: pages that become free are used again, and the alarm for space goes once there are some.
    return { header: client.header(client.engine.revision) };
  }),
  unaryCall(methods.hashKv, async (client, request) => {
    client.demandRoot();
    const { engine, header } = client;
    const { hash, revision } = await hashKeyValues(engine, request.revision);
    return {
      header: header(engine.revision),
      hash: BigInt(hash),
      compactRevision: engine.compactRevision,
      hashRevision: revision,
    };
  }),
  unaryCall(methods.authenticate, ({ server }) => {
    // Users have no passwords. A client that has a user name goes on without a token when it reads the other text.
    if (server.users)
      throw new GrpcFailure(
        grpcStatus.invalidArgument,
        'etcdserver: authentication failed, invalid user ID or password',
      );
    throw new GrpcFailure(grpcStatus.failedPrecondition, 'etcdserver: authentication is not enabled');
  }),
  unaryCall(methods.authStatus, ({ engine, header, server: { users } }) => ({
    header: header(engine.revision),
    enabled: users !== undefined,
    authRevision: BigInt(users?.revision ?? 0),
  })),
];
