import { ProtoReader, ProtoWriter, wireType } from '../../kvstore/index.ts';
import { compareUtf8 } from './go-json.ts';
import type { EndpointSliceRecord, SliceEndpoint, SlicePort } from './records.ts';

/**
 * The proto2 message `ClusterEndpointSlice` (kvstore-schema §16.4), as Go writes it: fields by number, maps sorted by key,
 * what is absent left out, but an empty string that is there is written. Checks nothing but the form.
 */
export function encodeSliceMessage(record: EndpointSliceRecord): Uint8Array {
  const writer = new ProtoWriter(0, 512);
  text(writer, 1, record.cluster);
  number(writer, 2, record.clusterId);
  text(writer, 3, record.namespace);
  text(writer, 4, record.name);
  map(writer, 5, record.labels);
  map(writer, 6, record.annotations);
  text(writer, 7, record.addressType);
  for (const endpoint of record.endpoints) message(writer, 8, endpoint, writeEndpoint);
  for (const port of record.ports) message(writer, 9, port, writePort);
  return writer.finish();
}

/** What a message says, before anybody has looked whether it makes sense. */
export interface SliceMessage {
  cluster: string;
  clusterId: number;
  namespace: string;
  name: string;
  readonly labels: Record<string, string>;
  readonly annotations: Record<string, string>;
  addressType: string;
  readonly endpoints: SliceEndpoint[];
  readonly ports: SlicePort[];
}

/**
 * What a slice of Kubernetes may have (`pkg/apis/discovery/validation`); a message of a few kilobytes compressed may hold millions.
 */
const most = { endpoints: 1000, addresses: 100, ports: 20_000, zones: 100, entries: 10_000 };

/** @throws {ProtocolError} when the bytes are no message, `RangeError` when it holds too much. Unknown fields are stepped over. */
export function decodeSliceMessage(bytes: Uint8Array): SliceMessage {
  const found: SliceMessage = {
    cluster: '',
    clusterId: 0,
    namespace: '',
    name: '',
    labels: {},
    annotations: {},
    addressType: '',
    endpoints: [],
    ports: [],
  };
  eachField(new ProtoReader(bytes), {
    [field(1)]: (reader) => (found.cluster = reader.text()),
    [field(2, wireType.varint)]: (reader) => (found.clusterId = reader.int64()),
    [field(3)]: (reader) => (found.namespace = reader.text()),
    [field(4)]: (reader) => (found.name = reader.text()),
    [field(5)]: entriesOf(found.labels),
    [field(6)]: entriesOf(found.annotations),
    [field(7)]: (reader) => (found.addressType = reader.text()),
    [field(8)]: (reader) => add(found.endpoints, reader.nested(readEndpoint), 'endpoints'),
    [field(9)]: (reader) => add(found.ports, reader.nested(readPort), 'ports'),
  });
  return found;
}

function writeEndpoint(writer: ProtoWriter, endpoint: SliceEndpoint): void {
  for (const address of endpoint.addresses) text(writer, 1, address);
  if (endpoint.conditions)
    message(writer, 2, endpoint.conditions, (inner, { ready, serving, terminating }) => {
      flag(inner, 1, ready);
      flag(inner, 2, serving);
      flag(inner, 3, terminating);
    });
  text(writer, 3, endpoint.hostname);
  map(writer, 5, endpoint.deprecatedTopology ?? {});
  text(writer, 6, endpoint.nodeName);
  text(writer, 7, endpoint.zone);
  if (endpoint.hints)
    message(writer, 8, endpoint.hints, (inner, { forZones }) => {
      for (const zone of forZones) message(inner, 1, zone, (innermost, name) => text(innermost, 1, name));
    });
}

function readEndpoint(outer: ProtoReader): SliceEndpoint {
  const addresses: string[] = [];
  const topology: Record<string, string> = {};
  const found: { -readonly [K in keyof SliceEndpoint]: SliceEndpoint[K] } = { addresses };
  const readTopology = entriesOf(topology);
  eachField(outer, {
    [field(1)]: (reader) => add(addresses, reader.text(), 'addresses'),
    [field(2)]: (reader) => (found.conditions = reader.nested(readConditions)),
    [field(3)]: (reader) => (found.hostname = reader.text()),
    [field(5)]: (reader) => {
      readTopology(reader);
      found.deprecatedTopology = topology;
    },
    [field(6)]: (reader) => (found.nodeName = reader.text()),
    [field(7)]: (reader) => (found.zone = reader.text()),
    [field(8)]: (reader) => (found.hints = reader.nested(readHints)),
  });
  return found;
}

function readConditions(outer: ProtoReader): NonNullable<SliceEndpoint['conditions']> {
  const found: { ready?: boolean; serving?: boolean; terminating?: boolean } = {};
  eachField(outer, {
    [field(1, wireType.varint)]: (reader) => (found.ready = reader.bool()),
    [field(2, wireType.varint)]: (reader) => (found.serving = reader.bool()),
    [field(3, wireType.varint)]: (reader) => (found.terminating = reader.bool()),
  });
  return found;
}

function readHints(outer: ProtoReader): NonNullable<SliceEndpoint['hints']> {
  const forZones: string[] = [];
  const readZone = (inner: ProtoReader): void => {
    let name = '';
    eachField(inner, { [field(1)]: (reader) => (name = reader.text()) });
    add(forZones, name, 'zones');
  };
  eachField(outer, { [field(1)]: (reader) => reader.nested(readZone) });
  return { forZones };
}

function writePort(writer: ProtoWriter, { name, protocol, port, appProtocol }: SlicePort): void {
  text(writer, 1, name);
  text(writer, 2, protocol);
  number(writer, 3, port);
  text(writer, 4, appProtocol);
}

function readPort(outer: ProtoReader): SlicePort {
  const found: { -readonly [K in keyof SlicePort]: SlicePort[K] } = {};
  eachField(outer, {
    [field(1)]: (reader) => (found.name = reader.text()),
    [field(2)]: (reader) => (found.protocol = reader.text()),
    [field(3, wireType.varint)]: (reader) => (found.port = reader.int64()),
    [field(4)]: (reader) => (found.appProtocol = reader.text()),
  });
  return found;
}

/** A field's tag: its number and how its value is laid out. */
function field(number: number, type: number = wireType.bytes): number {
  return number * 8 + type;
}

function eachField(reader: ProtoReader, read: Readonly<Record<number, (reader: ProtoReader) => unknown>>): void {
  while (!reader.done) {
    const tag = reader.tag();
    const known = read[tag];
    if (known) known(reader);
    else reader.skip(tag & 7);
  }
}

function add<T>(into: T[], item: T, what: keyof typeof most): void {
  if (into.push(item) > most[what]) throw new RangeError(`more than ${most[what]} ${what}`);
}

function entriesOf(into: Record<string, string>): (reader: ProtoReader) => void {
  let count = 0;
  return (reader) => {
    if (++count > most.entries) throw new RangeError(`more than ${most.entries} entries of a map`);
    readEntry(reader, into);
  };
}

/** An entry of a map is a message of key (1) and value (2). */
function readEntry(outer: ProtoReader, into: Record<string, string>): void {
  outer.nested((inner) => {
    let key = '';
    let value = '';
    eachField(inner, {
      [field(1)]: (reader) => (key = reader.text()),
      [field(2)]: (reader) => (value = reader.text()),
    });
    // Not by assignment: `__proto__` is a label like any other.
    Object.defineProperty(into, key, { value, enumerable: true, configurable: true, writable: true });
  });
}

function text(writer: ProtoWriter, number: number, value: string | undefined): void {
  if (value === undefined) return;
  writer.tag(number, wireType.bytes);
  writer.text(value);
}

function number(writer: ProtoWriter, number: number, value: number | undefined): void {
  if (value === undefined) return;
  writer.tag(number, wireType.varint);
  writer.int64(value);
}

function flag(writer: ProtoWriter, number: number, value: boolean | undefined): void {
  if (value === undefined) return;
  writer.tag(number, wireType.varint);
  writer.bool(value);
}

function map(writer: ProtoWriter, number: number, entries: Readonly<Record<string, string>>): void {
  for (const entry of Object.entries(entries).toSorted(([a], [b]) => compareUtf8(a, b)))
    message(writer, number, entry, (inner, [key, value]) => {
      text(inner, 1, key);
      text(inner, 2, value);
    });
}

function message<T>(
  writer: ProtoWriter,
  number: number,
  value: T,
  write: (writer: ProtoWriter, value: T) => void,
): void {
  writer.tag(number, wireType.bytes);
  writer.nested(value, write);
}
