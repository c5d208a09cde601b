/** A section of an ELF64 file. */
export interface ElfSection {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly data: Buffer;
  readonly link: number;
}

export interface ElfSymbol {
  readonly name: string;
  /** `STT_…`: 1 object, 2 function. */
  readonly type: number;
  readonly global: boolean;
  /** Index of the section it lies in. */
  readonly section: number;
  readonly offset: number;
  readonly size: number;
}

export interface ElfFile {
  readonly sections: readonly ElfSection[];
  readonly symbols: readonly ElfSymbol[];
}

export const SHF_EXECINSTR = 4;
export const STT_OBJECT = 1;
export const STT_FUNC = 2;

const SHT_SYMTAB = 2;
const SHT_NOBITS = 8;
const EM_BPF = 247;

/** Reads a compiled eBPF object (elf(5)). @throws {RangeError} when the bytes are none. */
export function readElf(bytes: Buffer, name: string): ElfFile {
  const magic = bytes.length > 64 && bytes.readUInt32BE(0) === 0x7f454c46 && bytes[4] === 2 && bytes[5] === 1;
  if (!magic || bytes.readUInt16LE(18) !== EM_BPF) throw new RangeError(`${name} is no little-endian eBPF object`);
  const table = Number(bytes.readBigUInt64LE(40));
  const entrySize = bytes.readUInt16LE(58);
  const headers = Array.from({ length: bytes.readUInt16LE(60) }, (_, i) => sectionHeader(bytes, table + i * entrySize));
  const names = headers[bytes.readUInt16LE(62)]?.data ?? Buffer.alloc(0);
  const sections = headers.map(({ nameAt, ...section }) => ({ ...section, name: stringAt(names, nameAt) }));
  const symbols = sections
    .filter((section) => section.type === SHT_SYMTAB)
    .flatMap((section) => symbolsOf(section.data, sections[section.link]?.data ?? Buffer.alloc(0)));
  return { sections, symbols };
}

/** Text up to the next zero byte. */
export function stringAt(bytes: Buffer, at: number): string {
  const end = bytes.indexOf(0, at);
  return bytes.toString('utf8', at, end < 0 ? bytes.length : end);
}

function sectionHeader(bytes: Buffer, at: number): Omit<ElfSection, 'name'> & { readonly nameAt: number } {
  const type = bytes.readUInt32LE(at + 4);
  const offset = Number(bytes.readBigUInt64LE(at + 24));
  const size = Number(bytes.readBigUInt64LE(at + 32));
  return {
    nameAt: bytes.readUInt32LE(at),
    type,
    flags: Number(bytes.readBigUInt64LE(at + 8)),
    data: type === SHT_NOBITS ? Buffer.alloc(size) : bytes.subarray(offset, offset + size),
    link: bytes.readUInt32LE(at + 40),
  };
}

function symbolsOf(data: Buffer, names: Buffer): ElfSymbol[] {
  return Array.from({ length: Math.floor(data.length / 24) }, (_, i) => {
    const at = i * 24;
    const info = data.readUInt8(at + 4);
    return {
      name: stringAt(names, data.readUInt32LE(at)),
      type: info & 15,
      global: info >> 4 === 1,
      section: data.readUInt16LE(at + 6),
      offset: Number(data.readBigUInt64LE(at + 8)),
      size: Number(data.readBigUInt64LE(at + 16)),
    };
  });
}
