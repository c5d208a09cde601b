import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { ProtocolError } from '../../contract/index.ts';
import { FrameReader, MessageTooLargeError, grpcStatus, methods } from '../wire/index.ts';
import { clusterCalls } from './cluster-calls.ts';
import { GrpcCall, GrpcFailure, statusOf } from './grpc-call.ts';
import { answerHttp } from './http-endpoints.ts';
import { keepAliveStream } from './keep-alive-stream.ts';
import { kvCalls } from './kv-calls.ts';
import { leaseCalls } from './lease-calls.ts';
import type { ServeContext } from './serve-context.ts';
import type { UnaryCall } from './unary-call.ts';
import { watchStream } from './watch-stream.ts';

/** etcd's `--max-request-bytes` and the 512 kB that gRPC may add: a longer message is refused before it is read. */
const maxMessageBytes = 1.5 * 1024 * 1024 + 512 * 1024;

/** A call of many messages: takes each as it comes. */
export type StreamHandler = (context: ServeContext, call: GrpcCall) => { message(payload: Uint8Array): void };

const unaryCalls: ReadonlyMap<string, UnaryCall> = new Map([...kvCalls, ...leaseCalls, ...clusterCalls]);
const streamCalls: ReadonlyMap<string, StreamHandler> = new Map<string, StreamHandler>([
  [methods.watch.path, watchStream],
  [methods.leaseKeepAlive.path, keepAliveStream],
]);
const services = new Set([...unaryCalls.keys(), ...streamCalls.keys()].map((path) => path.split('/')[1]));

/** Answers one HTTP/2 stream as gRPC. */
export function answerGrpc(context: ServeContext, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  // A client may go away at any moment; whoever writes asks `call.open` first.
  stream.on('error', (error) => context.log.debug('A call of an etcd client broke', { error }));
  const path = String(headers[':path']);
  if (headers[':method'] !== 'POST' || !headers['content-type']?.startsWith('application/grpc')) {
    answerPlainly(context, stream, headers);
    return;
  }
  const call = new GrpcCall(stream);
  if (context.closing) return call.finish(grpcStatus.unavailable, 'etcdserver: server stopped');
  const unary = unaryCalls.get(path);
  const streaming = streamCalls.get(path);
  if (unary) answerUnary(context, call, path, unary);
  else if (streaming) answerStream(context, call, path, streaming);
  else refuse(context, call, path);
}

/** A probe that agreed on HTTP/2 with us. */
function answerPlainly(context: ServeContext, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const request = { method: headers[':method'], url: headers[':path'] };
  if (request.method === 'POST') return stream.respond({ ':status': 415 }, { endStream: true });
  answerHttp(context, request, (status, body, fields) => {
    if (stream.destroyed || stream.closed) return;
    stream.respond({ ':status': status, ...fields });
    stream.end(body);
  });
}

function answerUnary(context: ServeContext, call: GrpcCall, path: string, unary: UnaryCall): void {
  const answer = async (payload: Uint8Array): Promise<void> => {
    try {
      // The engine may keep what it gets; the chunk that the message came in is larger and shared.
      const frame = await unary(context, payload.slice());
      call.reply(frame);
      context.count(path, grpcStatus.ok);
    } catch (error) {
      fail(context, call, path, error);
    }
  };
  let taken = false;
  readMessages(context, call, path, (payload) => {
    if (taken) return;
    taken = true;
    void answer(payload);
  });
  call.stream.on('end', () => {
    if (!taken) call.finish(grpcStatus.internal, 'isthmus: the request ended before its message was whole');
  });
}

function answerStream(context: ServeContext, call: GrpcCall, path: string, handler: StreamHandler): void {
  const handled = handler(context, call);
  readMessages(context, call, path, (payload) => handled.message(payload.slice()));
  call.stream.once('close', () => context.count(path, grpcStatus.ok));
}

function readMessages(context: ServeContext, call: GrpcCall, path: string, take: (payload: Uint8Array) => void): void {
  const frames = new FrameReader({ maxBytes: maxMessageBytes });
  call.stream.on('data', (chunk: Buffer) => {
    if (!call.open) return;
    try {
      for (const payload of frames.push(chunk)) take(payload);
    } catch (error) {
      fail(context, call, path, error);
    }
  });
}

function refuse(context: ServeContext, call: GrpcCall, path: string): void {
  const [, service = '', method = ''] = path.split('/');
  // gRPC's own words, which clients show to people.
  const text = services.has(service) ? `unknown method ${method} for service ${service}` : `unknown service ${service}`;
  context.count('unknown', grpcStatus.unimplemented);
  call.finish(grpcStatus.unimplemented, text);
}

function fail(context: ServeContext, call: GrpcCall, path: string, error: unknown): void {
  const { code, text, expected } = statusOf(asGrpcFailure(error));
  if (!expected) context.log.error('A call of an etcd client failed by a mistake of ours', { path, error });
  context.count(path, code);
  call.finish(code, text);
}

function asGrpcFailure(error: unknown): unknown {
  if (error instanceof MessageTooLargeError) {
    const text = `grpc: received message larger than max (${error.bytes} vs. ${error.maxBytes})`;
    return new GrpcFailure(grpcStatus.resourceExhausted, text);
  }
  if (error instanceof ProtocolError)
    return new GrpcFailure(grpcStatus.internal, `grpc: error unmarshalling request: ${error.message}`);
  return error;
}
