import { prefixEnd } from '../../contract/index.ts';

/** The keys that begin with a prefix, as etcd's range; an empty prefix means all. */
export function rangeOf(prefix: Uint8Array): { readonly key: Uint8Array; readonly rangeEnd: Uint8Array } {
  return { key: prefix.length === 0 ? new Uint8Array(1) : prefix, rangeEnd: prefixEnd(prefix) };
}
