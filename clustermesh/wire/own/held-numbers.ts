import { formatLabels, parseLabels } from '../../../values/labels/index.ts';
import { goJson, omitEmpty, stringMap, struct } from '../go-json.ts';
import { InvalidRecordError } from '../invalid-record.ts';
import { heldNumbersKey } from '../keys.ts';
import { type Encoded, ObjectReader } from '../object-reader.ts';
import type { HeldNumber, HeldNumbersRecord, RememberedNumber } from '../records.ts';
import { splitSuffix } from './suffix.ts';

export function keyOfHeldNumbers(record: Pick<HeldNumbersRecord, 'node'>): string {
  return heldNumbersKey(record.node);
}

/** `isthmus/v1/held/<node>`. */
export function encodeHeldNumbers({ numbers, answers = '', remembered = [] }: HeldNumbersRecord): string {
  const of = (hidden: boolean): Record<string, string> =>
    Object.fromEntries(numbers.filter((held) => held.hidden === hidden).map(({ id, text }) => [String(id), text]));
  return goJson(
    struct(
      ['identities', omitEmpty(stringMap(of(false)))],
      ['hidden', omitEmpty(stringMap(of(true)))],
      ['answers', omitEmpty(answers)],
      ['remembered', omitEmpty(pack(remembered))],
    ),
  );
}

/** @param suffix `<node>`. @throws {InvalidRecordError} */
export function decodeHeldNumbers(suffix: string, value: Encoded): HeldNumbersRecord {
  const [node] = splitSuffix('isthmus/v1/held/', suffix, ['node']);
  const key = heldNumbersKey(node);
  const reader = ObjectReader.parse(key, value);
  const of = (member: string, hidden: boolean): HeldNumber[] =>
    Object.entries(reader.textMap(member)).map(([digits, text]) => {
      const path = `${member}.${digits}`;
      if (!/^[1-9]\d{0,9}$/.test(digits)) throw new InvalidRecordError(key, path, 'a decimal number', digits);
      // What it says is put into the store as it is: it has to be what an allocator would have put there.
      const labels = parseLabels(text);
      if (labels.length === 0 || formatLabels(labels) !== text)
        throw new InvalidRecordError(key, path, 'sorted labels, each with its ";"', text);
      return { id: Number(digits), text, hidden };
    });
  const answers = reader.text('answers');
  const packed = reader.text('remembered');
  const bytes = Buffer.from(packed, 'base64');
  if (bytes.length % entryBytes !== 0 || bytes.toString('base64') !== packed)
    throw new InvalidRecordError(key, 'remembered', `base64 of ${entryBytes} bytes a number`, packed);
  const remembered = unpack(bytes);
  const twice = remembered.find(([id], i) => i > 0 && id <= remembered[i - 1]![0]);
  if (twice) throw new InvalidRecordError(key, 'remembered', 'each number once, in their order', String(twice[0]));
  return {
    node,
    numbers: [...of('identities', false), ...of('hidden', true)],
    ...(answers === '' ? {} : { answers }),
    ...(packed === '' ? {} : { remembered }),
  };
}

/** A number and a digest, big-endian: there may be tens of thousands, in the record of every node. */
const entryBytes = 8;

function pack(remembered: readonly RememberedNumber[]): string {
  const bytes = Buffer.alloc(remembered.length * entryBytes);
  for (const [i, [id, digest]] of remembered.toSorted(([a], [b]) => a - b).entries()) {
    bytes.writeUInt32BE(id, i * entryBytes);
    bytes.writeUInt32BE(digest, i * entryBytes + 4);
  }
  return bytes.toString('base64');
}

function unpack(bytes: Buffer): RememberedNumber[] {
  return Array.from({ length: bytes.length / entryBytes }, (_, i) => [
    bytes.readUInt32BE(i * entryBytes),
    bytes.readUInt32BE(i * entryBytes + 4),
  ]);
}
