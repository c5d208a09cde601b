import { type Method, decode, encodeFrame } from '../wire/index.ts';
import type { Client } from './client.ts';
import type { GrpcCall } from './grpc-call.ts';

/** Answers a call, from the bytes of its request. */
export type UnaryCall = (call: GrpcCall, payload: Uint8Array) => Promise<void>;

export interface UnaryCallOptions<Request, Response> {
  /** Bytes that the answer takes; one that has to grow is copied again and again. */
  readonly sizeHint?: (response: Response) => number;
  /** Whether the answer may be of any length: few of those are made at a time. */
  readonly wide?: (request: Request) => boolean;
}

/** Puts decoding before and encoding behind `handle`. Gives the path with it, for the table of calls. */
export function unaryCall<Request, Response>(
  method: Method<Request, never, unknown, Response>,
  handle: (client: Client, request: Request) => Promise<Response> | Response,
  { sizeHint, wide }: UnaryCallOptions<Request, Response> = {},
): [path: string, call: UnaryCall] {
  return [
    method.path,
    async (call, payload) => {
      const { client } = call;
      const request = decode(method.request, payload);
      const answer = async (): Promise<void> => {
        const response = await handle(client, request);
        call.reply(encodeFrame(method.response, response, sizeHint?.(response)));
      };
      await (wide?.(request) ? client.readWide(answer, () => call.open) : answer());
    },
  ];
}
