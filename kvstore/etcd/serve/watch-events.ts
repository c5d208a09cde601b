import type { EngineEvent } from '../../contract/index.ts';
import { ProtoWriter, type ResponseHeader, encode, encodeFrame, watchResponse } from '../wire/index.ts';

/** A watch that asked for fragments gets no message longer than this (etcd: `--max-request-bytes` and its overhead). */
const maxFragmentBytes = 2 * 1024 * 1024;
/** What header and ids of a response take at most. */
const envelopeBytes = 64;

export interface EventsToSend {
  readonly header: ResponseHeader;
  readonly watchId: bigint;
  readonly events: readonly EngineEvent[];
  readonly fragment: boolean;
}

/** Watchers of the same range get the same array from the engine: its bytes are made once for all of them. */
const encoded = new WeakMap<readonly EngineEvent[], Uint8Array>();

/** The frames that carry `events`: one, or several where the client asked for fragments and one would be too long. */
export function encodeEvents(wanted: EventsToSend): Uint8Array[] {
  const { header, watchId, events, fragment } = wanted;
  const bytes = eventBytes(events);
  if (fragment && bytes.length + envelopeBytes > maxFragmentBytes && events.length > 1) {
    const parts = split(events);
    return parts.map((part, i) =>
      encodeFrame(watchResponse, { header, watchId, events: part, fragment: i < parts.length - 1 }),
    );
  }
  // Events have the highest field number of the message and so come last.
  const join = (writer: ProtoWriter): void => {
    watchResponse.write(writer, { header, watchId });
    writer.raw(bytes);
  };
  return [encodeFrame({ read: () => undefined, write: join }, undefined, bytes.length + envelopeBytes)];
}

function eventBytes(events: readonly EngineEvent[]): Uint8Array {
  let bytes = encoded.get(events);
  if (bytes === undefined) encoded.set(events, (bytes = encode(watchResponse, { events })));
  return bytes;
}

/** As many events in each part as fit, at least one. */
function split(events: readonly EngineEvent[]): EngineEvent[][] {
  const parts: EngineEvent[][] = [];
  let part: EngineEvent[] = [];
  let bytes = envelopeBytes;
  for (const one of events) {
    const { length } = encode(watchResponse, { events: [one] });
    if (part.length > 0 && bytes + length > maxFragmentBytes) {
      parts.push(part);
      part = [];
      bytes = envelopeBytes;
    }
    part.push(one);
    bytes += length;
  }
  parts.push(part);
  return parts;
}
