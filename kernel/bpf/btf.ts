import { readFileSync } from 'node:fs';
import type { BpfMapSpec } from '../ports/index.ts';
import { BTF_KIND, type BtfType, readBtfTypes, voidType } from './btf-types.ts';
import { type ElfFile, type ElfSection, SHF_EXECINSTR, STT_FUNC, STT_OBJECT, readElf } from './elf.ts';
import { mapTypeOf } from './map-types.ts';

/** A member by its place in the struct; those of anonymous structs and unions appear as if they were the outer's own. */
export interface StructMember {
  readonly name: string;
  readonly offset: number;
  /** Bytes; of a bit field the bytes it touches. */
  readonly size: number;
}

export interface StructLayout {
  readonly name: string;
  readonly size: number;
  readonly members: readonly StructMember[];
}

export interface ObjectProgram {
  readonly name: string;
  /** Such as `tc` or `cgroup/connect4`. */
  readonly section: string;
}

/** What a compiled object says about itself. */
export interface ObjectLayout {
  /** Named structs and unions. */
  readonly structs: ReadonlyMap<string, StructLayout>;
  /** Maps of `.maps` by name. A type that the ports do not offer is left out. */
  readonly maps: ReadonlyMap<string, BpfMapSpec>;
  readonly programs: readonly ObjectProgram[];
  /** `volatile const` configuration: its initial bytes and the place of each variable; absent when there is none. */
  readonly rodata?: { readonly bytes: Buffer; readonly variables: ReadonlyMap<string, StructMember> };
}

/**
 * Reads structs, maps, programs and configuration of a compiled eBPF object, without the kernel. Codecs are checked
 * against it, and the in-memory kernel takes its maps from it.
 * @throws {RangeError} when the file is no eBPF object with BTF (compile with `-g`).
 */
export function readBtf(objectPath: string): ObjectLayout {
  const elf = readElf(readFileSync(objectPath), objectPath);
  const section = elf.sections.find(({ name }) => name === '.BTF');
  if (!section) throw new RangeError(`${objectPath} has no BTF; compile it with -g`);
  const types = readBtfTypes(section.data);
  const rodata = elf.sections.findIndex(({ name }) => name === '.rodata');
  const bytes = elf.sections[rodata]?.data;
  return {
    structs: structsOf(types),
    maps: mapsOf(types),
    programs: programsOf(elf),
    ...(bytes ? { rodata: { bytes: Buffer.from(bytes), variables: variablesOf(elf, rodata) } } : {}),
  };
}

function structsOf(types: readonly BtfType[]): Map<string, StructLayout> {
  const result = new Map<string, StructLayout>();
  for (const type of types)
    if ((type.kind === BTF_KIND.struct || type.kind === BTF_KIND.union) && type.name !== '' && !result.has(type.name))
      result.set(type.name, { name: type.name, size: type.size, members: membersOf(types, type, 0) });
  // A struct without a name of its own may have one by typedef.
  for (const type of types) {
    const target = types[type.type];
    if (type.kind === BTF_KIND.typedef && target?.kind === BTF_KIND.struct && !result.has(type.name))
      result.set(type.name, { name: type.name, size: target.size, members: membersOf(types, target, 0) });
  }
  return result;
}

function membersOf(types: readonly BtfType[], struct: BtfType, base: number): StructMember[] {
  return struct.members.flatMap((member) => {
    const offset = base + (member.bitOffset >>> 3);
    const inner = types[resolved(types, member.type)];
    const composite = inner?.kind === BTF_KIND.struct || inner?.kind === BTF_KIND.union;
    if (member.name === '' && inner && composite) return membersOf(types, inner, offset);
    const size =
      member.bitSize > 0 ? Math.ceil(((member.bitOffset & 7) + member.bitSize) / 8) : sizeOf(types, member.type);
    return [{ name: member.name, offset, size }];
  });
}

/**
 * Maps are variables in section `.maps` whose struct says everything by its members' types: `__uint(x, n)` is a pointer
 * to an array of n, `__type(x, T)` a pointer to T.
 */
function mapsOf(types: readonly BtfType[]): Map<string, BpfMapSpec> {
  const result = new Map<string, BpfMapSpec>();
  const section = types.find((type) => type.kind === BTF_KIND.dataSection && type.name === '.maps');
  for (const entry of section?.members ?? []) {
    const variable = types[entry.type];
    const definition = variable && types[resolved(types, variable.type)];
    if (!variable || !definition) continue;
    const spec = mapSpec(types, variable.name, definition);
    if (spec) result.set(spec.name, spec);
  }
  return result;
}

function mapSpec(types: readonly BtfType[], name: string, definition: BtfType): BpfMapSpec | undefined {
  const numbers = new Map<string, number>();
  for (const member of definition.members) {
    const pointer = types[resolved(types, member.type)];
    if (pointer?.kind !== BTF_KIND.pointer) continue;
    const target = types[resolved(types, pointer.type)];
    if (member.name === 'key' || member.name === 'value')
      numbers.set(`${member.name}_size`, sizeOf(types, pointer.type));
    else if (target?.kind === BTF_KIND.array) numbers.set(member.name, target.count);
  }
  const type = mapTypeOf(numbers.get('type') ?? 0);
  if (!type) return undefined;
  return {
    name,
    type,
    keySize: numbers.get('key_size') ?? 0,
    valueSize: numbers.get('value_size') ?? 0,
    maxEntries: numbers.get('max_entries') ?? 0,
  };
}

/** Global functions at the sections that libbpf takes for programs: executable ones other than `.text`. */
function programsOf(elf: ElfFile): ObjectProgram[] {
  const isProgram = (section: ElfSection | undefined): section is ElfSection =>
    section !== undefined && (section.flags & SHF_EXECINSTR) !== 0 && section.name !== '.text';
  return elf.symbols.flatMap((symbol) => {
    const section = elf.sections[symbol.section];
    return symbol.type === STT_FUNC && symbol.global && isProgram(section)
      ? [{ name: symbol.name, section: section.name }]
      : [];
  });
}

/** Places come from the symbols: in an object that is not linked yet the BTF of a data section has none. */
function variablesOf(elf: ElfFile, section: number): Map<string, StructMember> {
  const variables = elf.symbols
    .filter((symbol) => symbol.section === section && symbol.type === STT_OBJECT)
    .toSorted((a, b) => a.offset - b.offset);
  return new Map(variables.map(({ name, offset, size }) => [name, { name, offset, size }]));
}

/** The type behind typedefs and qualifiers. */
function resolved(types: readonly BtfType[], index: number): number {
  const type = types[index] ?? voidType;
  switch (type.kind) {
    case BTF_KIND.typedef:
    case BTF_KIND.volatile:
    case BTF_KIND.const:
    case BTF_KIND.restrict:
    case BTF_KIND.typeTag:
      return resolved(types, type.type);
    default:
      return index;
  }
}

function sizeOf(types: readonly BtfType[], index: number): number {
  const type = types[resolved(types, index)] ?? voidType;
  switch (type.kind) {
    case BTF_KIND.pointer:
      return 8;
    case BTF_KIND.array:
      return type.count * sizeOf(types, type.element);
    default:
      return type.size;
  }
}
