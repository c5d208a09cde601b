import type { BpfMapType } from '../ports/index.ts';

/** Numbers of `enum bpf_map_type` (linux/bpf.h). */
const numbers: Readonly<Record<BpfMapType, number>> = {
  hash: 1,
  array: 2,
  'percpu-array': 6,
  'lru-hash': 9,
  'lpm-trie': 11,
};

export const BPF_F_NO_PREALLOC = 1;

export function mapTypeNumber(type: BpfMapType): number {
  return numbers[type];
}

/** Undefined for a type that the ports do not offer. */
export function mapTypeOf(number: number): BpfMapType | undefined {
  for (const [type, value] of Object.entries(numbers)) if (value === number) return type as BpfMapType;
  return undefined;
}

/** A trie must, and a plain hash may, allocate its elements as they come. */
export function creationFlags(type: BpfMapType): number {
  return type === 'lpm-trie' ? BPF_F_NO_PREALLOC : 0;
}
