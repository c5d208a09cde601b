import type { EngineEvent } from '../../contract/index.ts';
import { type ResponseHeader, encode, encodeFrame, event, watchResponse } from '../wire/index.ts';

/** A watch that asked for fragments gets no message longer than this (etcd: `--max-request-bytes` and its overhead). */
const maxFragmentBytes = 2 * 1024 * 1024;

export interface EventsToSend {
  readonly header: ResponseHeader;
  readonly watchId: bigint;
  readonly events: readonly EngineEvent[];
  readonly fragment: boolean;
}

/** The frames that carry `events`: one, or several where the client asked for fragments and one would be too long. */
export function encodeEvents(wanted: EventsToSend): Uint8Array[] {
  const { header, watchId, events, fragment } = wanted;
  const whole = encodeFrame(watchResponse, { header, watchId, events });
  if (!fragment || whole.length < maxFragmentBytes || events.length < 2) return [whole];
  const parts = split(events);
  return parts.map((part, i) =>
    encodeFrame(watchResponse, { header, watchId, events: part, fragment: i < parts.length - 1 }),
  );
}

/** As many events in each part as fit, at least one. */
function split(events: readonly EngineEvent[]): EngineEvent[][] {
  const parts: EngineEvent[][] = [];
  let part: EngineEvent[] = [];
  // Header and ids of a response, and per event its tag and length, stay below these.
  const envelope = 64;
  let bytes = envelope;
  for (const one of events) {
    const length = encode(event, one).length + 6;
    if (part.length > 0 && bytes + length >= maxFragmentBytes) {
      parts.push(part);
      part = [];
      bytes = envelope;
    }
    part.push(one);
    bytes += length;
  }
  parts.push(part);
  return parts;
}
