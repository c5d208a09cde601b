import { methods } from '../wire/index.ts';
import { leasePieces } from './long-answers.ts';
import { type UnaryCall, unaryCall } from './unary-call.ts';

/** The Lease service but its stream. */
export const leaseCalls: readonly [string, UnaryCall][] = [
  unaryCall(methods.leaseGrant, async (client, request) => {
    const { header } = client;
    const { revision, ...lease } = await client.grantLease(request);
    return { ...lease, header: header(revision) };
  }),
  unaryCall(methods.leaseRevoke, async ({ engine, header }, request) => {
    const { revision } = await engine.leaseRevoke(request.id);
    return { header: header(revision) };
  }),
  unaryCall(
    methods.leaseTimeToLive,
    async ({ engine, header }, request, reader) => {
      const { revision, ...lease } = await engine.leaseTimeToLive(request.id, request.keys, reader);
      return { ...lease, header: header(revision) };
    },
    { wide: ({ keys }) => keys, pieces: leasePieces },
  ),
  unaryCall(methods.leaseLeases, async ({ engine, header }) => {
    const ids = await engine.leases();
    return { leases: ids.map((id) => ({ id })), header: header(engine.revision) };
  }),
];
