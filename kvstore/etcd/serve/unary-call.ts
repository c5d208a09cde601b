import { type Method, decode, encodeFrame } from '../wire/index.ts';
import type { Client } from './client.ts';

/** From the bytes of a request to the frame of its answer. */
export type UnaryCall = (client: Client, payload: Uint8Array) => Promise<Uint8Array>;

/** Puts decoding before and encoding behind `handle`. Gives the path with it, for the table of calls. */
export function unaryCall<Request, Response>(
  method: Method<Request, never, unknown, Response>,
  handle: (client: Client, request: Request) => Promise<Response> | Response,
  sizeHint?: (response: Response) => number,
): [path: string, call: UnaryCall] {
  return [
    method.path,
    async (client, payload) => {
      const request = decode(method.request, payload);
      const response = await handle(client, request);
      return encodeFrame(method.response, response, sizeHint?.(response));
    },
  ];
}
