import { type Bytes, toText } from '../contract/index.ts';

/** Third and fourth segment of a key; of a shorter key the first twelve characters (clustermesh-behaviour §14). */
export function scopeOf(key: Bytes | undefined): string {
  if (key === undefined) return '';
  const text = typeof key === 'string' ? key : toText(key);
  const [, , third = '', fourth = ''] = text.split('/');
  return third === '' || fourth === '' ? text.slice(0, 12) : `${third}/${fourth}`;
}
