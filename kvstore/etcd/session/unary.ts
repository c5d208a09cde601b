import { ProtocolError } from '../../contract/index.ts';
import { FrameReader } from '../wire/index.ts';
import type { CallStream } from './call-stream.ts';

/** No answer of etcd is as long; what claims to be is nonsense. */
const maxAnswerBytes = 0x7fff_ffff;

/** The one message that a unary call is answered with, once the call has ended well. */
export async function readOnlyMessage(call: CallStream): Promise<Uint8Array> {
  const reader = new FrameReader({ maxBytes: maxAnswerBytes });
  const messages: Uint8Array[] = [];
  for (let chunks = await call.read(); chunks; chunks = await call.read())
    for (const chunk of chunks) messages.push(...reader.push(chunk));
  const [message] = messages;
  if (message === undefined || messages.length > 1 || !reader.idle)
    throw new ProtocolError(`Answer consists of ${messages.length} messages${reader.idle ? '' : ' and a part of one'}`);
  return message;
}
