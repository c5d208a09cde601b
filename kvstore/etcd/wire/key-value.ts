import type { EncodedKeyValue, KeyValue } from '../../contract/index.ts';
import type { Codec } from './message.ts';
import { enumeration, message, nested } from './message.ts';
import type { ProtoWriter } from './writer.ts';

const empty: Uint8Array = new Uint8Array(0);
// Tags of `mvccpb.KeyValue`: field number and wire type in one byte.
const tag = { key: 0x0a, create: 0x10, mod: 0x18, version: 0x20, value: 0x2a, lease: 0x30 } as const;

/** `mvccpb.KeyValue`. Written by hand, since lists and watches consist of nothing else. */
export const keyValue: Codec<KeyValue> = {
  read(reader) {
    let key = empty;
    let value = empty;
    let createRevision = 0;
    let modRevision = 0;
    let version = 0;
    let lease = 0n;
    while (!reader.done) {
      const found = reader.tag();
      if (found === tag.key) key = reader.bytes();
      else if (found === tag.create) createRevision = reader.int64();
      else if (found === tag.mod) modRevision = reader.int64();
      else if (found === tag.version) version = reader.int64();
      else if (found === tag.value) value = reader.bytes();
      else if (found === tag.lease) lease = reader.bigInt64();
      else reader.skip(found & 7);
    }
    return { key, value, createRevision, modRevision, version, lease };
  },
  size: (kv) => (isEncoded(kv) ? kv.messageLength : undefined),
  write(writer, kv) {
    if (isEncoded(kv)) return writer.encoded(kv);
    writeBytes(writer, tag.key, kv.key);
    writeNumber(writer, tag.create, kv.createRevision);
    writeNumber(writer, tag.mod, kv.modRevision);
    writeNumber(writer, tag.version, kv.version);
    writeBytes(writer, tag.value, kv.value);
    if (kv.lease !== 0n) {
      writer.uint32(tag.lease);
      writer.bigInt64(kv.lease);
    }
  },
};

/** Bytes that a list of `kvs` takes at most; what is not known counts as nothing. */
export function sizeOfKeyValues(kvs: readonly KeyValue[]): number {
  let size = 0;
  for (const kv of kvs) size += isEncoded(kv) ? kv.messageLength + 6 : 0;
  return size;
}

/** From the embedded store: the bytes are there already. */
function isEncoded(kv: KeyValue): kv is EncodedKeyValue {
  return 'copyMessage' in kv;
}

function writeNumber(writer: ProtoWriter, field: number, value: number): void {
  if (value === 0) return;
  writer.uint32(field);
  writer.int64(value);
}

function writeBytes(writer: ProtoWriter, field: number, value: Uint8Array): void {
  if (value.length === 0) return;
  writer.uint32(field);
  writer.bytes(value);
}

/** `mvccpb.Event`. Of a deletion, `kv` has the key and, as `modRevision`, the deletion's revision. */
export const event = message({
  type: enumeration(1, ['put', 'delete']),
  kv: nested(2, keyValue),
  prevKv: nested(3, keyValue),
});
