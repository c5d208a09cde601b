import { type Steps, turns } from '../../engine/index.ts';
import type { Reader } from '../../contract/index.ts';
import { type Method, decode, encodeFrame, frameOf } from '../wire/index.ts';
import type { Client } from './client.ts';
import type { GrpcCall } from './grpc-call.ts';
import { longRequestBytes, maxMessageBytes, maxParts } from './limits.ts';

/** Answers a call, from the bytes of its request. */
export type UnaryCall = (call: GrpcCall, payload: Uint8Array) => Promise<void>;

export interface UnaryCallOptions<Request, Response> {
  /** Whether the answer may take any time and be of any length: few of those are made at a time. */
  readonly wide?: (request: Request) => boolean;
  /** Encodes such an answer in pieces, and any other one of many bytes; undefined for one that is short. */
  readonly pieces?: (response: Response) => Steps<Buffer[]> | undefined;
}

/** Puts decoding before and encoding behind `handle`. Gives the path with it, for the table of calls. */
export function unaryCall<Request, Response>(
  method: Method<Request, never, unknown, Response>,
  handle: (client: Client, request: Request, reader: Reader) => Promise<Response> | Response,
  { wide, pieces }: UnaryCallOptions<Request, Response> = {},
): [path: string, call: UnaryCall] {
  return [
    method.path,
    async (call, payload) => {
      const { client, reader } = call;
      const decoded = (): Request => decode(method.request, payload, maxParts);
      const request =
        payload.length > longRequestBytes ? await turns.once(async () => decoded(), reader.owner) : decoded();
      const isWide = wide?.(request) ?? false;
      const answer = async (): Promise<void> => {
        const response = await handle(client, request, reader);
        const steps = isWide || call.makingBytes > maxMessageBytes ? pieces?.(response) : undefined;
        if (!steps) return call.reply([encodeFrame(method.response, response)]);
        const between = (): void => reader.took(0);
        call.reply(frameOf(await turns.take(steps, { owner: reader.owner, between })));
      };
      await (isWide ? client.readWide(answer, () => call.open) : answer());
    },
  ];
}
