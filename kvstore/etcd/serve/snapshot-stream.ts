import { pagesOf } from '../../engine/index.ts';
import { sealed, streamSnapshot } from '../../snapshot/index.ts';
import { encodeFrame, grpcStatus, methods } from '../wire/index.ts';
import { type GrpcCall, statusOf } from './grpc-call.ts';
import { clusterVersion, storageName } from './serve-context.ts';

/**
 * `Snapshot`: everything at one revision, in our own format (`kvstore/snapshot`), while the store goes on. It is made as
 * fast as the client takes it, so that nobody knows how much is to come: `remaining_bytes` is always 0.
 */
export function snapshotStream(call: GrpcCall): { message(payload: Uint8Array): void } {
  const { client } = call;
  const { server } = client;
  const ending = new AbortController();
  let wake = (): void => undefined;
  const lasting = {
    end: (code: number, text: string) => call.finish(code, text),
    recheck: () => {
      if (client.rights?.root === false) call.finish(grpcStatus.permissionDenied, 'etcdserver: permission denied');
    },
  };
  client.lasting.add(lasting);
  call.onPaid(() => wake());
  call.stream.once('close', () => {
    client.lasting.delete(lasting);
    ending.abort();
    wake();
  });

  const send = async (): Promise<void> => {
    const { engine, clock, limits } = server;
    // However slowly it is taken, and whatever is compacted meanwhile.
    using held = engine.hold();
    const store = {
      list: () => pagesOf((request) => held.range(request), new Uint8Array(0)),
      storeId: engine.clusterId.toString(16),
    };
    const leaseTtl = async (id: bigint): Promise<number | undefined> => {
      const { grantedTtl } = await engine.leaseTimeToLive(id, false);
      return grantedTtl > 0 ? grantedTtl : undefined;
    };
    const version = `${storageName} ${clusterVersion}`;
    for await (const blob of sealed(streamSnapshot({ store, leaseTtl, clock, signal: ending.signal }))) {
      if (!call.open) return;
      call.send(encodeFrame(methods.snapshot.response, { header: client.header(engine.revision), blob, version }));
      while (call.open && call.unsentBytes > limits.maxUnsentBytes)
        await new Promise<void>((resolve) => (wake = resolve));
    }
    call.finish(grpcStatus.ok);
  };
  let begun = false;
  call.stream.once('end', () => {
    if (!begun) call.finish(grpcStatus.internal, 'isthmus: the request ended before its message was whole');
  });
  return {
    message() {
      client.demandRoot();
      if (begun) return;
      begun = true;
      send().catch((error: unknown) => {
        if (ending.signal.aborted) return;
        const { code, text, expected } = statusOf(error);
        if (!expected) server.log.error('A snapshot for an etcd client failed', { error });
        call.finish(code, text);
      });
    },
  };
}
