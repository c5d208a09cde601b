import { closeSync, fstatSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { fileName } from './table-file.ts';

const noteName = 'isthmus-stopped.json';
/** More than both heads of the tables. */
const beginningBytes = 16 * 1024;

/**
 * Notes what the file of the tables is like at the end of an orderly stop. Nothing depends on the note: without it, or with
 * one that does not fit, the next start looks at all pages.
 */
export function noteStop(directory: string): void {
  try {
    writeFileSync(join(directory, noteName), `${JSON.stringify(lookOf(directory))}\n`, { mode: 0o600 });
  } catch {
    // A full disk, say.
  }
}

/**
 * Whether nobody has touched the file since an orderly stop: neither its content nor, by the time that the kernel notes and
 * nobody can set (`st_ctim`, inode(7)), anything else of it. A copy, a restored backup or a changed owner counts as touched.
 */
export function untouchedSinceStop(directory: string): boolean {
  try {
    return readFileSync(join(directory, noteName), 'utf8') === `${JSON.stringify(lookOf(directory))}\n`;
  } catch {
    return false;
  }
}

/** From now on the file is written. */
export function forgetStop(directory: string): void {
  rmSync(join(directory, noteName), { force: true });
}

function lookOf(directory: string): Readonly<Record<string, string | number>> {
  const file = openSync(join(directory, fileName), 'r');
  try {
    const { size, mtimeNs, ctimeNs } = fstatSync(file, { bigint: true });
    const beginning = Buffer.alloc(beginningBytes);
    const length = readSync(file, beginning, 0, beginningBytes, 0);
    return {
      size: Number(size),
      modified: String(mtimeNs),
      changed: String(ctimeNs),
      beginning: crc32(beginning.subarray(0, length)),
    };
  } finally {
    closeSync(file);
  }
}
