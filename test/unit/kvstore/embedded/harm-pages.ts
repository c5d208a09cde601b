import { closeSync, openSync, writeSync } from 'node:fs';
import { StoreDirectoryError } from '../../../../kvstore/embedded/index.ts';
import { Random } from '../../../../runtime/random/index.ts';

export interface HarmOptions {
  readonly file: string;
  /** All of the file, as it is now and stays. */
  readonly whole: Buffer;
  readonly pageSize: number;
  /** Those that are harmed, each by itself. */
  readonly pages: readonly number[];
  readonly rounds: number;
  /** Looks at the store, and is to reject while a page is wrong. */
  readonly look: () => Promise<void>;
}

/** Harms one page after the other in every way, and puts it right again. Gives what nobody noticed. */
export async function unnoticedHarms({
  file: path,
  whole,
  pageSize,
  pages,
  rounds,
  look,
}: HarmOptions): Promise<readonly string[]> {
  const unnoticed: string[] = [];
  const file = openSync(path, 'r+');
  const harm = async (what: string, page: number, change: (bytes: Buffer) => void): Promise<void> => {
    const good = whole.subarray(page * pageSize, (page + 1) * pageSize);
    const bad = Buffer.from(good);
    change(bad);
    writeSync(file, bad, 0, pageSize, page * pageSize);
    const error: unknown = await look().catch((thrown: unknown) => thrown);
    if (!(error instanceof StoreDirectoryError && error.problem === 'damaged')) unnoticed.push(`${what}: ${page}`);
    writeSync(file, good, 0, pageSize, page * pageSize);
  };
  const random = new Random(8);
  for (let i = 0; i < rounds; i++) {
    const page = pages[random.int(pages.length)] ?? 0;
    const other = pages[random.int(pages.length)] ?? 0;
    await harm('blank', page, (bytes) => bytes.fill(0));
    await harm('noise', page, (bytes) => bytes.forEach((_, at) => (bytes[at] = random.int(256))));
    await harm('younger', page, (bytes) => bytes.writeBigUInt64LE(1_000_000n, 8));
    if (other === page || whole.readUInt16LE(other * pageSize + 18) & 4) continue;
    // Even under its own number.
    await harm('another', page, (bytes) => {
      whole.copy(bytes, 8, other * pageSize + 8, (other + 1) * pageSize);
    });
  }
  closeSync(file);
  return unnoticed;
}
