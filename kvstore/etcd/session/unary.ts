import { ProtocolError } from '../../contract/index.ts';
import { FrameReader } from '../wire/index.ts';
import type { CallStream } from './call-stream.ts';

/** No single answer that we ask for is as long (a listing is read while it arrives, not as one); more is nonsense. */
export const maxAnswerBytes = 64 << 20;

/** The one message that a unary call is answered with, once the call has ended well. */
export async function readOnlyMessage(call: CallStream): Promise<Uint8Array> {
  const reader = new FrameReader({ maxBytes: maxAnswerBytes });
  let message: Uint8Array | undefined;
  for (let chunks = await call.read(); chunks; chunks = await call.read())
    for (const chunk of chunks) {
      const [first, second] = reader.push(chunk);
      if (second !== undefined || (first !== undefined && message !== undefined))
        throw new ProtocolError('Answer consists of more than one message');
      message ??= first;
    }
  if (message === undefined || !reader.idle)
    throw new ProtocolError(
      `Answer is ${message === undefined ? 'no' : 'one'} message${reader.idle ? '' : ' and a part of one'}`,
    );
  return message;
}
