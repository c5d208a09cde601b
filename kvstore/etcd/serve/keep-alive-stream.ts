import { decode, encodeFrame, grpcStatus, methods } from '../wire/index.ts';
import { type GrpcCall, statusOf } from './grpc-call.ts';
import type { ServeContext } from './serve-context.ts';

/** Requests that may wait for their answer before the client is no longer read. */
const maxWaiting = 64;

/** `LeaseKeepAlive`: each id that comes is renewed and answered, in order; time to live 0 says that there is none. */
export function keepAliveStream(context: ServeContext, call: GrpcCall): { message(payload: Uint8Array): void } {
  const { engine } = context;
  const waiting: bigint[] = [];
  let working = false;

  const answerAll = async (): Promise<void> => {
    for (let id = waiting.shift(); id !== undefined && call.open; id = waiting.shift()) {
      // The revision is taken before: an answer must not claim to have seen the lease live at a later one.
      const header = context.header(engine.revision);
      const { ttl } = await engine.leaseKeepAlive(id);
      call.send(encodeFrame(methods.leaseKeepAlive.response, { header, id, ttl }));
      if (call.unsentBytes > context.maxUnsentBytes) await drained(call);
    }
  };
  const work = async (): Promise<void> => {
    working = true;
    try {
      await answerAll();
    } catch (error) {
      const { code, text, expected } = statusOf(error);
      if (!expected) context.log.error('Renewing a lease failed by a mistake of ours', { error });
      call.finish(code, text);
    }
    working = false;
    call.stream.resume();
    if (!call.stream.readableEnded) return;
    if (waiting.length === 0) call.finish(grpcStatus.ok);
  };

  const lasting = { stop: () => call.finish(grpcStatus.unavailable, 'etcdserver: server stopped') };
  context.lasting.add(lasting);
  call.stream.once('close', () => context.lasting.delete(lasting));
  call.stream.on('end', () => {
    if (!working) call.finish(grpcStatus.ok);
  });
  return {
    message(payload) {
      waiting.push(decode(methods.leaseKeepAlive.request, payload).id);
      if (waiting.length > maxWaiting) call.stream.pause();
      if (!working) void work();
    },
  };
}

function drained(call: GrpcCall): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      call.stream.off('drain', done);
      call.stream.off('close', done);
      resolve();
    };
    call.stream.on('drain', done);
    call.stream.on('close', done);
  });
}
