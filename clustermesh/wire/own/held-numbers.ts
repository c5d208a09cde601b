import { formatLabels, parseLabels } from '../../../values/labels/index.ts';
import { goJson, omitEmpty, stringMap, struct } from '../go-json.ts';
import { InvalidRecordError } from '../invalid-record.ts';
import { heldNumbersKey } from '../keys.ts';
import { type Encoded, ObjectReader } from '../object-reader.ts';
import type { HeldNumber, HeldNumbersRecord } from '../records.ts';
import { splitSuffix } from './suffix.ts';

export function keyOfHeldNumbers(record: Pick<HeldNumbersRecord, 'node'>): string {
  return heldNumbersKey(record.node);
}

/** `isthmus/v1/held/<node>`. */
export function encodeHeldNumbers({ numbers, answers = '' }: HeldNumbersRecord): string {
  const of = (hidden: boolean): Record<string, string> =>
    Object.fromEntries(numbers.filter((held) => held.hidden === hidden).map(({ id, text }) => [String(id), text]));
  return goJson(
    struct(
      ['identities', omitEmpty(stringMap(of(false)))],
      ['hidden', omitEmpty(stringMap(of(true)))],
      ['answers', omitEmpty(answers)],
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
  return {
    node,
    numbers: [...of('identities', false), ...of('hidden', true)],
    ...(answers === '' ? {} : { answers }),
  };
}
