import { type IncomingHttpHeaders, type ServerHttp2Stream, constants } from 'node:http2';
import { permissionDenied } from '../../auth/index.ts';
import { turns } from '../../engine/index.ts';
import { ProtocolError } from '../../contract/index.ts';
import { FrameReader, MessageTooLargeError, TooManyPartsError, grpcStatus, methods } from '../wire/index.ts';
import type { Client } from './client.ts';
import { clusterCalls } from './cluster-calls.ts';
import { GrpcCall, GrpcFailure, statusOf } from './grpc-call.ts';
import { answerHttp } from './http-endpoints.ts';
import { keepAliveStream } from './keep-alive-stream.ts';
import { kvCalls } from './kv-calls.ts';
import { leaseCalls } from './lease-calls.ts';
import { maxMessageBytes } from './limits.ts';
import type { ServeContext } from './serve-context.ts';
import { snapshotStream } from './snapshot-stream.ts';
import type { UnaryCall } from './unary-call.ts';
import { watchStream } from './watch-stream.ts';

/** Ten thousand watches that are asked for at once are work: so many, or what came with them, and others have their turn. */
const messagesOfTurn = 64;

/** A call of many messages: takes each as it comes. */
export type StreamHandler = (call: GrpcCall) => { message(payload: Uint8Array): void };

const unaryCalls: ReadonlyMap<string, UnaryCall> = new Map([...kvCalls, ...leaseCalls, ...clusterCalls]);
const streamCalls: ReadonlyMap<string, StreamHandler> = new Map<string, StreamHandler>([
  [methods.watch.path, watchStream],
  [methods.leaseKeepAlive.path, keepAliveStream],
  [methods.snapshot.path, snapshotStream],
]);
const services = new Set([...unaryCalls.keys(), ...streamCalls.keys()].map((path) => path.split('/')[1]));

/** Answers one HTTP/2 stream as gRPC. */
export function answerGrpc(client: Client, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const { server } = client;
  const path = String(headers[':path']);
  if (headers[':method'] !== 'POST' || !headers['content-type']?.startsWith('application/grpc')) {
    answerPlainly(server, stream, headers);
    return;
  }
  const unary = unaryCalls.get(path);
  const streaming = streamCalls.get(path);
  const call = new GrpcCall(stream, client, unary ? 'answer' : 'push');
  const denied = client.refused === undefined ? undefined : permissionDenied();
  if (server.closing) call.finish(grpcStatus.unavailable, 'etcdserver: server stopped');
  else if (denied) fail(call, path, denied);
  else if ((headers['grpc-encoding'] ?? 'identity') !== 'identity') refuseEncoding(call, headers['grpc-encoding']);
  else if (unary) answerUnary(call, path, unary);
  else if (streaming) answerStream(call, path, streaming);
  else refuse(call, path);
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

function answerUnary(call: GrpcCall, path: string, unary: UnaryCall): void {
  const { client, requests } = call;
  const answer = async (payload: Uint8Array): Promise<void> => {
    try {
      client.demandRoom();
      // The engine may keep what it gets; the chunk that the message came in is larger and shared.
      await unary(call, new Uint8Array(payload));
      client.server.count(path, grpcStatus.ok);
    } catch (error) {
      fail(call, path, error);
    }
  };
  let taken = false;
  readMessages(call, path, (payload) => {
    // One message is all there is to say; a client that goes on is not listened to.
    if (taken) return call.stream.close(constants.NGHTTP2_CANCEL);
    taken = true;
    requests.answering(payload.length);
    void answer(payload);
  });
  call.stream.on('end', () => {
    if (!taken) call.finish(grpcStatus.internal, 'isthmus: the request ended before its message was whole');
  });
}

function answerStream(call: GrpcCall, path: string, handler: StreamHandler): void {
  const handled = handler(call);
  let taken = 0;
  readMessages(call, path, (payload) => {
    taken += 1;
    turns.spend(() => handled.message(new Uint8Array(payload)));
  });
  call.stream.on('data', () => {
    if (taken < messagesOfTurn || !call.open) return;
    taken = 0;
    call.hold('turn');
    void turns.later(() => call.goOn('turn'), call.client.tally);
  });
  call.stream.once('close', () => call.client.server.count(path, grpcStatus.ok));
}

function readMessages(call: GrpcCall, path: string, take: (payload: Uint8Array) => void): void {
  const frames = new FrameReader({ maxBytes: maxMessageBytes });
  call.stream.on('data', (chunk: Buffer) => {
    if (!call.open) return;
    try {
      for (const payload of frames.push(chunk)) take(payload);
      call.requests.gathering(frames.buffered);
    } catch (error) {
      fail(call, path, error);
    }
  });
}

function refuse(call: GrpcCall, path: string): void {
  const [, service = '', method = ''] = path.split('/');
  // gRPC's own words, which clients show to people.
  const text = services.has(service) ? `unknown method ${method} for service ${service}` : `unknown service ${service}`;
  call.client.server.count('unknown', grpcStatus.unimplemented);
  call.finish(grpcStatus.unimplemented, text);
}

/** Whoever asks with compression may ask again without: the answer names what is accepted. */
function refuseEncoding(call: GrpcCall, encoding: unknown): void {
  call.client.server.count('unknown', grpcStatus.unimplemented);
  const name = JSON.stringify(String(encoding).slice(0, 32));
  call.finish(grpcStatus.unimplemented, `grpc: Decompressor is not installed for grpc-encoding ${name}`);
}

function fail(call: GrpcCall, path: string, error: unknown): void {
  const { server } = call.client;
  const { code, text, expected } = statusOf(asGrpcFailure(error));
  if (!expected) server.log.error('A call of an etcd client failed by a mistake of ours', { path, error });
  server.count(path, code);
  call.finish(code, text);
}

function asGrpcFailure(error: unknown): unknown {
  if (error instanceof MessageTooLargeError) {
    const text = `grpc: received message larger than max (${error.bytes} vs. ${error.maxBytes})`;
    return new GrpcFailure(grpcStatus.resourceExhausted, text);
  }
  if (error instanceof TooManyPartsError)
    return new GrpcFailure(grpcStatus.invalidArgument, 'etcdserver: too many operations in txn request');
  if (error instanceof ProtocolError)
    return new GrpcFailure(grpcStatus.internal, `grpc: error unmarshalling request: ${error.message}`);
  return error;
}
