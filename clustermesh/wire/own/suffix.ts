import { InvalidRecordError } from '../invalid-record.ts';

/** The segments of a key's part after `prefix`, as many as `names`. @throws {InvalidRecordError} for any other number. */
export function splitSuffix<const N extends readonly string[]>(
  prefix: string,
  suffix: string,
  names: N,
): { [I in keyof N]: string } {
  const segments = suffix.split('/');
  if (segments.length !== names.length || segments.includes(''))
    throw new InvalidRecordError(prefix + suffix, '', `under ${prefix}<${names.join('>/<')}>`, prefix + suffix);
  return segments as { [I in keyof N]: string };
}
