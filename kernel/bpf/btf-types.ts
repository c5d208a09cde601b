import { stringAt } from './elf.ts';

/** Kinds of BTF types that objects of clang hold (kernel documentation, bpf/btf). */
export const BTF_KIND = {
  int: 1,
  pointer: 2,
  array: 3,
  struct: 4,
  union: 5,
  enum: 6,
  forward: 7,
  typedef: 8,
  volatile: 9,
  const: 10,
  restrict: 11,
  function: 12,
  functionProto: 13,
  variable: 14,
  dataSection: 15,
  float: 16,
  declTag: 17,
  typeTag: 18,
  enum64: 19,
} as const;

export interface BtfMember {
  readonly name: string;
  readonly type: number;
  readonly bitOffset: number;
  /** 0 unless it is a bit field. */
  readonly bitSize: number;
}

/** One type; `size` and `type` share a word in the file, so only one of them means something. */
export interface BtfType {
  readonly kind: number;
  readonly name: string;
  readonly size: number;
  readonly type: number;
  readonly members: readonly BtfMember[];
  /** Of an array. */
  readonly element: number;
  readonly count: number;
}

/** The types of a `.BTF` section; index 0 is `void`. @throws {RangeError} when it is no BTF. */
export function readBtfTypes(bytes: Buffer): readonly BtfType[] {
  if (bytes.length < 24 || bytes.readUInt16LE(0) !== 0xeb9f) throw new RangeError('Not a BTF section');
  const start = bytes.readUInt32LE(4);
  const types = start + bytes.readUInt32LE(8);
  const strings = bytes.subarray(start + bytes.readUInt32LE(16));
  const end = types + bytes.readUInt32LE(12);
  const result: BtfType[] = [voidType];
  for (let at = types; at < end;) {
    const info = bytes.readUInt32LE(at + 4);
    const kind = (info >>> 24) & 31;
    const vlen = info & 0xffff;
    const word = bytes.readUInt32LE(at + 8);
    const tail = at + 12;
    result.push({
      kind,
      name: stringAt(strings, bytes.readUInt32LE(at)),
      size: word,
      type: word,
      members: membersOf(bytes, strings, tail, kind, vlen, info >>> 31 === 1),
      element: kind === BTF_KIND.array ? bytes.readUInt32LE(tail) : 0,
      count: kind === BTF_KIND.array ? bytes.readUInt32LE(tail + 8) : 0,
    });
    at = tail + tailSize(kind, vlen);
  }
  return result;
}

/** What index 0, and an index that the file lacks, stands for. */
export const voidType: BtfType = { kind: 0, name: '', size: 0, type: 0, members: [], element: 0, count: 0 };

function membersOf(
  bytes: Buffer,
  strings: Buffer,
  at: number,
  kind: number,
  vlen: number,
  bitFields: boolean,
): BtfMember[] {
  if (kind === BTF_KIND.struct || kind === BTF_KIND.union)
    return Array.from({ length: vlen }, (_, i) => {
      const offset = bytes.readUInt32LE(at + i * 12 + 8);
      return {
        name: stringAt(strings, bytes.readUInt32LE(at + i * 12)),
        type: bytes.readUInt32LE(at + i * 12 + 4),
        bitOffset: bitFields ? offset & 0xffffff : offset,
        bitSize: bitFields ? offset >>> 24 : 0,
      };
    });
  // The variables of a data section: type, offset and size; the name is the variable's own.
  if (kind === BTF_KIND.dataSection)
    return Array.from({ length: vlen }, (_, i) => ({
      name: '',
      type: bytes.readUInt32LE(at + i * 12),
      bitOffset: bytes.readUInt32LE(at + i * 12 + 4) * 8,
      bitSize: bytes.readUInt32LE(at + i * 12 + 8) * 8,
    }));
  return [];
}

function tailSize(kind: number, vlen: number): number {
  switch (kind) {
    case BTF_KIND.int:
    case BTF_KIND.variable:
    case BTF_KIND.declTag:
      return 4;
    case BTF_KIND.array:
      return 12;
    case BTF_KIND.struct:
    case BTF_KIND.union:
    case BTF_KIND.dataSection:
    case BTF_KIND.enum64:
      return vlen * 12;
    case BTF_KIND.enum:
    case BTF_KIND.functionProto:
      return vlen * 8;
    default:
      return 0;
  }
}
