import { decode, encodeFrame, grpcStatus, methods } from '../wire/index.ts';
import { type GrpcCall, statusOf } from './grpc-call.ts';

/** Requests that may wait for their answer before the client is no longer read. */
const maxWaiting = 64;

/** `LeaseKeepAlive`: each id that comes is renewed and answered, in order; time to live 0 says that there is none. */
export function keepAliveStream(call: GrpcCall): { message(payload: Uint8Array): void } {
  const { client } = call;
  const { server } = client;
  const waiting: bigint[] = [];
  let working = false;
  let wake = (): void => undefined;

  const answerAll = async (): Promise<void> => {
    for (let id = waiting.shift(); id !== undefined && call.open; id = waiting.shift()) {
      // The revision is taken before: an answer must not claim to have seen the lease live at a later one.
      const { engine } = client;
      const header = server.header(engine.revision);
      const { ttl } = await engine.leaseKeepAlive(id);
      call.send(encodeFrame(methods.leaseKeepAlive.response, { header, id, ttl }));
      if (call.unsentBytes > server.limits.maxUnsentBytes) await taken();
    }
  };
  const work = async (): Promise<void> => {
    working = true;
    try {
      await answerAll();
    } catch (error) {
      const { code, text, expected } = statusOf(error);
      if (!expected) server.log.error('Renewing a lease failed by a mistake of ours', { error });
      call.finish(code, text);
    }
    working = false;
    call.goOn('waiting');
    if (!call.stream.readableEnded) return;
    if (waiting.length === 0) call.finish(grpcStatus.ok);
  };

  /** Settles once the client has taken something, or has gone. */
  const taken = (): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    wake = resolve;
    return promise;
  };
  call.onPaid(() => wake());
  call.stream.once('close', () => wake());

  const lasting = { end: (code: number, text: string) => call.finish(code, text), recheck: () => undefined };
  client.lasting.add(lasting);
  call.stream.once('close', () => client.lasting.delete(lasting));
  call.stream.on('end', () => {
    if (!working) call.finish(grpcStatus.ok);
  });
  return {
    message(payload) {
      waiting.push(decode(methods.leaseKeepAlive.request, payload).id);
      if (waiting.length > maxWaiting) call.hold('waiting');
      if (!working) void work();
    },
  };
}
