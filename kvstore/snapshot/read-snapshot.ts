import { type ReadStream, createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';
import { reasonOf } from '../../runtime/files/index.ts';
import { endOfSnapshot } from './seal.ts';
import {
  type SnapshotEntry,
  SnapshotFileError,
  type SnapshotHeader,
  decodeEntry,
  leaseOf,
  snapshotFormat,
} from './snapshot-format.ts';

export type SnapshotLine =
  | { readonly type: 'header'; readonly header: SnapshotHeader }
  | { readonly type: 'entry'; readonly entry: SnapshotEntry }
  | { readonly type: 'lease'; readonly id: bigint; readonly ttlSeconds: number | undefined };

type Parsed = Readonly<Record<string, unknown>>;

/**
 * What a snapshot holds, in the order of the file. The iteration ends without error only after the end of the snapshot,
 * with as many entries as it promises. @throws {SnapshotFileError}
 */
export async function* readSnapshot(file: string, signal: AbortSignal): AsyncGenerator<SnapshotLine, void, void> {
  const fail = (problem: string, cause?: unknown): SnapshotFileError =>
    new SnapshotFileError(file, problem, cause === undefined ? undefined : { cause });
  const text = createGunzip();
  let source: ReadStream | undefined;
  const counts = { keys: 0, leases: 0, lines: 0 };
  let ended = false;
  try {
    const end = await endOfSnapshot(file, signal);
    if (end === 0) throw fail('no snapshot of ours');
    source = createReadStream(file, { signal, end: end - 1 });
    source.on('error', (error) => text.destroy(error));
    source.pipe(text);
    for await (const line of createInterface({ input: text, crlfDelay: Infinity })) {
      counts.lines += 1;
      if (ended) throw fail(`line ${counts.lines}: something stands behind the end`);
      const parsed = parse(line);
      const where = `line ${counts.lines}`;
      if (counts.lines === 1) yield { type: 'header', header: headerOf(parsed, fail) };
      else if (!parsed) throw fail(`${where}: not JSON`);
      else if ('end' in parsed) {
        const end = JSON.stringify(parsed['end']);
        if (end !== JSON.stringify({ keys: counts.keys, leases: counts.leases }))
          throw fail(
            `${where}: the snapshot promises ${end}, found were ${counts.keys} keys and ${counts.leases} leases`,
          );
        ended = true;
      } else if ('leaseId' in parsed) {
        counts.leases += 1;
        const id = leaseOf(parsed['leaseId']);
        const ttl = parsed['ttlSeconds'];
        if (id === undefined) throw fail(`${where}: leaseId: expected a number in hex`);
        if (ttl !== undefined && !(typeof ttl === 'number' && ttl > 0))
          throw fail(`${where}: ttlSeconds: expected a number above 0`);
        yield { type: 'lease', id, ttlSeconds: ttl };
      } else {
        counts.keys += 1;
        const entry = decodeEntry(parsed);
        if (!entry) throw fail(`${where}: expected an entry with key and value`);
        yield { type: 'entry', entry };
      }
    }
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof SnapshotFileError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    const foreign = error instanceof Error && error.message.includes('incorrect header');
    if (code.startsWith('Z_')) throw fail(foreign ? 'no snapshot of ours' : 'damaged or cut short', error);
    throw fail(`cannot be read: ${reasonOf(error)}`, error);
  } finally {
    source?.destroy();
    text.destroy();
  }
  if (!ended) throw fail(counts.lines === 0 ? 'no snapshot of ours' : 'cut short: it has no end');
}

function headerOf(parsed: Parsed | undefined, fail: (problem: string) => SnapshotFileError): SnapshotHeader {
  if (parsed?.['product'] !== 'isthmus' || typeof parsed['snapshot'] !== 'number') throw fail('no snapshot of ours');
  const { snapshot, storeId, revision, taken } = parsed;
  if (snapshot > snapshotFormat) throw fail(`has format ${snapshot}, this version reads up to ${snapshotFormat}`);
  if (typeof revision !== 'number' || !Number.isSafeInteger(revision) || revision < 0)
    throw fail('line 1: revision: expected a whole number');
  if (typeof taken !== 'string' || Number.isNaN(Date.parse(taken))) throw fail('line 1: taken: expected a time');
  return { product: 'isthmus', snapshot, storeId: typeof storeId === 'string' ? storeId : '', revision, taken };
}

function parse(line: string): Parsed | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Parsed) : undefined;
  } catch {
    return undefined;
  }
}
