import {
  type ChangeKinds,
  type KeyValue,
  type PackedChanges,
  ProtocolError,
  type WatchBatch,
  type WatchEvent,
} from '../../contract/index.ts';
import { widened } from '../../tables/index.ts';
import { ProtoReader, keyValue } from '../wire/index.ts';

// Tags of `mvccpb.KeyValue`: field number and wire type in one byte.
const tag = { key: 0x0a, create: 0x10, mod: 0x18, version: 0x20, value: 0x2a } as const;

/** What a change is, beyond its key and value. */
const modified = 0;
const created = 1;
const deleted = 2;

/** Most batches of a watch are one change. */
const firstRoom = 4;

/**
 * Changes as positions in the chunks in which they came. A listing of a million keys makes no object of them, unless
 * somebody asks for {@link events}.
 */
export class ChangeColumns implements PackedChanges {
  buffers: Uint8Array[] = [];
  length = 0;
  spans = new Int32Array(4 * firstRoom);
  revisions = new Float64Array(firstRoom);
  /** Per change: where its `KeyValue` begins and ends, and what it is. */
  #messages = new Int32Array(3 * firstRoom);
  #events: WatchEvent[] | undefined;
  /** Where {@link #varint} goes on. */
  #at = 0;

  /** Revision of the last change; 0 without any. */
  get lastRevision(): number {
    return this.length === 0 ? 0 : (this.revisions[this.length - 1] as number);
  }

  /** Which one has the highest revision; undefined without any. */
  get newest(): number | undefined {
    let newest: number | undefined;
    let highest = 0;
    for (let i = 0; i < this.length; i++) {
      const revision = this.revisions[i] as number;
      if (revision > highest) {
        highest = revision;
        newest = i;
      }
    }
    return newest;
  }

  /** What kinds of changes there are. */
  get kinds(): ChangeKinds {
    const found = [false, false, false];
    for (let i = 0; i < this.length; i++) found[this.#messages[3 * i + 2] as number] = true;
    return { created: found[created] === true, modified: found[modified] === true, deleted: found[deleted] === true };
  }

  /** By how many keys there are more. */
  get growth(): number {
    let growth = 0;
    for (let i = 0; i < this.length; i++) {
      const kind = this.#messages[3 * i + 2];
      growth += kind === created ? 1 : kind === deleted ? -1 : 0;
    }
    return growth;
  }

  /** Adds the change whose `KeyValue` is `buffer[start, end)`. @throws {ProtocolError} when it makes no sense. */
  push(buffer: Uint8Array, start: number, end: number, isDelete: boolean): void {
    let keyStart = start;
    let keyEnd = start;
    let valueStart = start;
    let valueEnd = start;
    let revision = 0;
    let version = 0;
    this.#at = start;
    while (this.#at < end) {
      const found = buffer[this.#at++] as number;
      if (found === tag.key || found === tag.value) {
        const length = this.#varint(buffer, end);
        const from = this.#at;
        if (length > end - from) throw truncated(from);
        this.#at = from + length;
        if (found === tag.key) {
          keyStart = from;
          keyEnd = from + length;
        } else {
          valueStart = from;
          valueEnd = from + length;
        }
      } else if (found === tag.mod) revision = this.#varint(buffer, end);
      else if (found === tag.version) version = this.#varint(buffer, end);
      else if (found === tag.create) this.#varint(buffer, end);
      else this.#skip(buffer, this.#at - 1, end);
    }
    const i = this.length++;
    if (i === this.revisions.length) this.#widen(4 * i);
    this.buffers.push(buffer);
    const { spans } = this;
    spans[4 * i] = keyStart;
    spans[4 * i + 1] = keyEnd;
    spans[4 * i + 2] = isDelete ? -1 : valueStart;
    spans[4 * i + 3] = isDelete ? -1 : valueEnd;
    this.revisions[i] = revision;
    this.#messages[3 * i] = start;
    this.#messages[3 * i + 1] = end;
    this.#messages[3 * i + 2] = isDelete ? deleted : version === 1 ? created : modified;
  }

  /** Takes the first `count` changes away. */
  takeFirst(count: number): ChangeColumns {
    const taken = new ChangeColumns();
    this.#events = undefined;
    taken.buffers = this.buffers.splice(0, count);
    taken.spans = this.spans.slice(0, 4 * count);
    taken.revisions = this.revisions.slice(0, count);
    taken.#messages = this.#messages.slice(0, 3 * count);
    taken.length = count;
    this.spans.copyWithin(0, 4 * count);
    this.revisions.copyWithin(0, count);
    this.#messages.copyWithin(0, 3 * count);
    this.length -= count;
    return taken;
  }

  /** Gives its memory back at once instead of to a collection. Nobody may look at it any more. */
  release(): void {
    this.buffers.length = 0;
    for (const column of [this.spans, this.revisions, this.#messages]) column.buffer.transfer(0);
  }

  keyAt(i: number): Uint8Array {
    return (this.buffers[i] as Uint8Array).subarray(this.spans[4 * i], this.spans[4 * i + 1]);
  }

  entryAt(i: number): KeyValue {
    return keyValue.read(
      new ProtoReader(this.buffers[i] as Uint8Array, this.#messages[3 * i], this.#messages[3 * i + 1]),
    );
  }

  eventAt(i: number): WatchEvent {
    if (this.#messages[3 * i + 2] !== deleted) return { type: 'put', entry: this.entryAt(i) };
    return { type: 'delete', key: this.keyAt(i), revision: this.revisions[i] as number };
  }

  get entries(): KeyValue[] {
    return Array.from({ length: this.length }, (_, i) => this.entryAt(i));
  }

  /** Made once, when they are asked for. */
  get events(): readonly WatchEvent[] {
    this.#events ??= Array.from({ length: this.length }, (_, i) => this.eventAt(i));
    return this.#events;
  }

  /** The changes as a batch of a watch. */
  batch(revision: number): WatchBatch {
    const events = (): readonly WatchEvent[] => this.events;
    return {
      type: 'changes',
      revision,
      packed: this,
      get events() {
        return events();
      },
    };
  }

  #widen(room: number): void {
    this.spans = widened(this.spans, 4 * room);
    this.revisions = widened(this.revisions, room);
    this.#messages = widened(this.#messages, 3 * room);
  }

  /** A number from 0 to 2⁵³ − 1. */
  #varint(bytes: Uint8Array, end: number): number {
    let value = 0;
    let unit = 1;
    for (let at = this.#at; at < end && at - this.#at < 10; at++) {
      const byte = bytes[at] as number;
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) {
        this.#at = at + 1;
        if (value > Number.MAX_SAFE_INTEGER) throw new ProtocolError(`Cannot decode message: ${value} is beyond 2^53`);
        return value;
      }
      unit *= 128;
    }
    throw truncated(this.#at);
  }

  /** Steps over a field that is not needed here (the lease), or unknown. */
  #skip(bytes: Uint8Array, start: number, end: number): void {
    const reader = new ProtoReader(bytes, start, end);
    reader.skip(reader.tag() & 7);
    this.#at = reader.position;
  }
}

function truncated(at: number): ProtocolError {
  return new ProtocolError(`Cannot decode message: it ends inside a field at byte ${at}`);
}
