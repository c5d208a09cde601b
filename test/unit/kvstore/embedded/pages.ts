import { readFileSync, writeFileSync } from 'node:fs';
import type { Engine } from '../../../../kvstore/contract/index.ts';

export const pageSize = 4096;
const none = 0xffff_ffff_ffff_ffffn;

export const name = (i: number): Buffer => Buffer.from(`k${String(i).padStart(5, '0')}`);

/** Three levels of pages, long values among them, and pages that are free. */
export async function fill(engine: Engine, value = 'x'): Promise<void> {
  for (let i = 0; i < 4000; i++)
    void engine.put({ key: name(i), value: Buffer.alloc(i % 100 === 0 ? 9000 : 300, value) });
  for (let i = 0; i < 4000; i += 7) void engine.deleteRange({ key: name(i) });
  await engine.put({ key: name(4000), value: Buffer.from(value) });
  await engine.compact(engine.revision - 100);
}

/** So much that a start after an orderly stop leaves pages to the patrol. */
export async function ballast(engine: Engine): Promise<void> {
  for (let i = 0; i < 16; i++) await engine.put({ key: Buffer.from(`z${i}`), value: Buffer.alloc(1_400_000, 'z') });
}

/** The newest head and every page that its trees consist of, found in another way than by walking down. */
export function pagesInUse(bytes: Buffer): number[] {
  const txns = [0, pageSize].map((start) => bytes.readBigUInt64LE(start + 152));
  const head = (txns[1] ?? 0n) > (txns[0] ?? 0n) ? pageSize : 0;
  const found: number[] = [];
  const waiting = [head + 88, head + 136].map((place) => bytes.readBigUInt64LE(place));
  for (let page = waiting.pop(); page !== undefined; page = waiting.pop()) {
    if (page === none) continue;
    found.push(Number(page));
    const at = Number(page) * pageSize;
    const flags = bytes.readUInt16LE(at + 18);
    if (flags & 4) continue;
    for (let i = 0; i < bytes.readUInt16LE(at + 20); i += 2) {
      const node = at + 24 + bytes.readUInt16LE(at + 24 + i);
      const data = node + 8 + bytes.readUInt16LE(node + 6);
      const kind = bytes.readUInt16LE(node + 4);
      if (flags & 1) waiting.push(BigInt(bytes.readUInt32LE(node)) | (BigInt(kind) << 32n));
      else if (kind & 1) waiting.push(bytes.readBigUInt64LE(data));
      else if (kind & 2) waiting.push(bytes.readBigUInt64LE(data + 40));
    }
  }
  return found;
}

/** Leaves, and no page above them: keys in between stand in those as well. */
export function blankPages(path: string, key: Buffer): void {
  const bytes = readFileSync(path);
  for (const page of pagesInUse(bytes)) {
    const content = bytes.subarray(page * pageSize, (page + 1) * pageSize);
    if (content.readUInt16LE(18) & 2 && content.includes(key)) content.fill(0);
  }
  writeFileSync(path, bytes);
}
